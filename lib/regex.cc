// A C face over RE2, which no exception leaves.

// What the C headers include, outside of their linkage block.
#include <cstdarg>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <re2/re2.h>
#include <unistd.h>

extern "C" {
#include "lib/regex.h"
}

struct regex {
	RE2 re;

	regex(const char *pattern, size_t len, const RE2::Options &options)
	    : re(re2::StringPiece(pattern, len), options)
	{
	}
};

// UTF-8, unless the pattern is not: then it is bytes, each matching itself.
static struct regex *compile(const char *pattern, size_t len)
{
	RE2::Options options(RE2::Quiet);
	struct regex *regex;

	options.set_max_mem(REGEX_MEMORY_MAX);
	options.set_never_capture(true);
	regex = new struct regex(pattern, len, options);
	if (regex->re.error_code() == RE2::ErrorBadUTF8) {
		delete regex;
		options.set_encoding(RE2::Options::EncodingLatin1);
		regex = new struct regex(pattern, len, options);
	}
	return regex;
}

extern "C" struct regex *regex_new(const char *pattern, struct err *err)
{
	size_t len = std::strlen(pattern);

	if (len > REGEX_PATTERN_MAX) {
		err_set(err, ERR_INVALID, "regular expression is longer than %d bytes",
			REGEX_PATTERN_MAX);
		return nullptr;
	}
	try {
		struct regex *regex = compile(pattern, len);

		if (regex->re.ok())
			return regex;
		err_set(err, ERR_INVALID, "regular expression \"%.256s\": %.256s", pattern,
			regex->re.error().c_str());
		delete regex;
	} catch (...) {
		err_set(err, ERR_SYSTEM, "regular expression \"%.256s\": out of memory", pattern);
	}
	return nullptr;
}

extern "C" void regex_free(struct regex *regex)
{
	delete regex;
}

extern "C" bool regex_search(const struct regex *regex, const char *text, size_t len)
{
	try {
		return RE2::PartialMatch(re2::StringPiece(text, len), regex->re);
	} catch (...) {
		// Out of memory: as in mem.h, there is no going on.
		std::abort();
	}
}

extern "C" size_t regex_cost(const struct regex *regex)
{
	int size = regex->re.ProgramSize();

	return size > 0 ? static_cast<size_t>(size) : 1;
}
