/* Tells the service manager (systemd) what the process is doing. */
#ifndef MANAGE_NOTIFY_H
#define MANAGE_NOTIFY_H

/* Sends state ("READY=1") to the socket named by NOTIFY_SOCKET; does nothing without it. A failure
 * is logged. */
void notify_send(const char *state);

#endif
