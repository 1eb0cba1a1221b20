/* Which node a project of Compose is on. Its networks, volumes, images and containers need each
 * other, and without networks that span nodes they can only be together on one: so what names no
 * node goes where the project is already, if that node can take it. Inside api/ only. */
#ifndef API_PROJECT_H
#define API_PROJECT_H

#include "cluster/cluster.h"

/* The project that the labels of a request name; "" = none. labels may be NULL. Borrowed. */
const char *project_of(const json_t *labels);
/* A healthy node that holds something of the project; NULL when none does. */
struct node *project_home(const struct cluster *cluster, const char *project);
/* The same for the name of an image that is to be built for a service: "shop_web:latest" and
 * "shop-web" are of project shop. */
struct node *project_home_of_image(const struct cluster *cluster, const char *image);

#endif
