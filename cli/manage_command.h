/* Inside cli/: the parts of `swarm manage`. */
#ifndef CLI_MANAGE_COMMAND_H
#define CLI_MANAGE_COMMAND_H

#include "cli/commands.h"
#include "manage/manage.h"

extern const struct option_table manage_option_table;

/* Fills config from the options, which it borrows from; checks all that can be told without the
 * machine. */
int manage_read_options(
	const struct options *options, struct manage_config *config, struct err *err) MUSTCHECK;

#endif
