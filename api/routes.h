/* Every route of the Docker Remote API that a plain engine serves, and who answers it here. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

struct request;

struct route {
	const char *method;
	const char *pattern; /* "{name}" stands for one name, which may hold slashes */
	void (*answer)(struct request *r);
};

/* Ends with method NULL. The first that matches counts. */
extern const struct route routes[];

#endif
