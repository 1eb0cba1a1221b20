/* The TLS flags, which mean the same to every command that listens. */
#include "cli/commands.h"

int command_tls(const struct options *options, struct command_tls *out, struct err *err)
{
	*out = (struct command_tls){
		.is_verified = options_bool(options, "tlsverify"),
		.ca = options_text(options, "tlscacert"),
		.cert = options_text(options, "tlscert"),
		.key = options_text(options, "tlskey"),
	};
	out->is_enabled = out->is_verified || options_bool(options, "tls");
	if (!out->is_enabled) {
		if (out->ca != NULL || out->cert != NULL || out->key != NULL)
			return err_set(err, ERR_USAGE,
				"--tlscert, --tlskey and --tlscacert require the use of either "
				"--tls or --tlsverify");
		return 0;
	}
	if (out->cert == NULL || out->key == NULL)
		return err_set(
			err, ERR_USAGE, "--tlscert and --tlskey must be provided when using --tls");
	if (out->is_verified && out->ca == NULL)
		return err_set(
			err, ERR_USAGE, "--tlscacert must be provided when using --tlsverify");
	return 0;
}
