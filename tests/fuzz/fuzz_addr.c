/* Addresses and ranges, as command lines, files and stores write them. */
#include "lib/addr.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct str_list expanded = {0};
	struct addr first, second;

	if (addr_parse(text, 2375, &first, NULL) == 0) {
		char *written = addr_format(&first);

		/* What is taken is written so that it is taken again, and is the same. */
		fuzz_check(addr_parse(written, 0, &second, NULL) == 0);
		fuzz_check(first.kind == second.kind && first.port == second.port);
		fuzz_check(first.kind == ADDR_UNIX ? str_eq(first.path, second.path)
						   : str_eq(first.host, second.host));
		fuzz_check(first.kind == ADDR_UNIX ||
			   (addr_special_host(first.host) & ~(unsigned)ADDR_SPECIAL_ALL) == 0);
		addr_free(&second);
		free(written);
	}
	addr_free(&first);
	if (addr_check_host_port(text, NULL) == 0) {
		fuzz_check(addr_parse(text, 0, &first, NULL) == 0 && first.port > 0);
		addr_free(&first);
	}
	fuzz_check(addr_expand(text, &expanded, NULL) == 0 ? expanded.len > 0 : expanded.len == 0);
	fuzz_check(expanded.len <= ADDR_EXPAND_MAX);
	str_list_free(&expanded);
	free(text);
	return 0;
}
