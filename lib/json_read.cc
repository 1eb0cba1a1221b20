// A C face over simdjson, which no exception leaves.

// What the C headers include, outside of their linkage block.
#include <charconv>
#include <cstdarg>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <simdjson.h>
#include <strings.h>
#include <unistd.h>

extern "C" {
#include "lib/json_read.h"
}

namespace dom = simdjson::dom;

static constexpr size_t KEPT_CAPACITY = 1024 * 1024; // bytes of the text that it is made for

struct json_reader {
	dom::parser parser;
};

// A value, and a place in an object or array, are a document and a place in it each; C holds them
// as such.
template <typename T> static T from_ref(struct json_ref ref)
{
	T value;

	static_assert(sizeof(T) == sizeof(ref), "both are a document and a place in it");
	static_assert(std::is_trivially_copyable<T>::value, "so that bytes are all there is to it");
	std::memcpy(static_cast<void *>(&value), &ref, sizeof(ref));
	return value;
}

template <typename T> static struct json_ref to_ref(const T &value)
{
	struct json_ref ref;

	static_assert(sizeof(T) == sizeof(ref), "both are a document and a place in it");
	std::memcpy(&ref, static_cast<const void *>(&value), sizeof(ref));
	return ref;
}

extern "C" struct json_reader *json_reader_new(void)
{
	return new json_reader;
}

extern "C" void json_reader_free(struct json_reader *reader)
{
	delete reader;
}

extern "C" struct json_ref json_read(
	struct json_reader *reader, const char *text, size_t len, struct err *err)
{
	dom::element root;
	simdjson::error_code code;

	try {
		// What one large text took is not kept for many small ones.
		if (reader->parser.capacity() > KEPT_CAPACITY && len <= KEPT_CAPACITY)
			reader->parser = dom::parser();
		code = reader->parser.parse(text, len).get(root);
	} catch (...) {
		// Out of memory: as in mem.h, there is no going on.
		std::abort();
	}
	if (code == simdjson::MEMALLOC)
		std::abort();
	if (code != simdjson::SUCCESS) {
		err_set(err, ERR_INVALID, "invalid JSON: %s", simdjson::error_message(code));
		return json_ref{};
	}
	return to_ref(root);
}

extern "C" enum json_kind json_ref_kind(struct json_ref value)
{
	if (value.document == nullptr)
		return JSON_KIND_NONE;
	switch (from_ref<dom::element>(value).type()) {
	case dom::element_type::NULL_VALUE:
		return JSON_KIND_NULL;
	case dom::element_type::BOOL:
		return JSON_KIND_BOOL;
	case dom::element_type::INT64:
	case dom::element_type::UINT64:
		return JSON_KIND_INT;
	case dom::element_type::DOUBLE:
		return JSON_KIND_REAL;
	case dom::element_type::STRING:
		return JSON_KIND_TEXT;
	case dom::element_type::ARRAY:
		return JSON_KIND_ARRAY;
	case dom::element_type::OBJECT:
		return JSON_KIND_OBJECT;
	}
	return JSON_KIND_NONE;
}

extern "C" struct json_ref json_ref_get(struct json_ref object, const char *key)
{
	size_t len = std::strlen(key);
	struct json_ref folded = {};

	if (json_ref_kind(object) != JSON_KIND_OBJECT)
		return folded;
	dom::object members = from_ref<dom::element>(object);
	const dom::object::iterator end = members.end();
	for (dom::object::iterator at = members.begin(); at != end; ++at) {
		const char *name = at.key_c_str();

		// Most names fall at their first letter, whose case is one bit.
		if (((name[0] ^ key[0]) & ~0x20) != 0 || at.key_length() != len)
			continue;
		if (std::memcmp(name, key, len) == 0)
			return to_ref(at.value());
		if (folded.document == nullptr && strncasecmp(name, key, len) == 0)
			folded = to_ref(at.value());
	}
	return folded;
}

extern "C" const char *json_ref_text(struct json_ref value)
{
	const char *text;

	if (json_ref_kind(value) != JSON_KIND_TEXT)
		return nullptr;
	dom::element element = from_ref<dom::element>(value);
	text = element.get_c_str();
	return std::strlen(text) == element.get_string_length() ? text : nullptr;
}

extern "C" const char *json_ref_str(struct json_ref object, const char *key, const char *otherwise)
{
	const char *text = json_ref_text(json_ref_get(object, key));

	return text != nullptr ? text : otherwise;
}

extern "C" int64_t json_ref_int(struct json_ref object, const char *key, int64_t otherwise)
{
	struct json_ref value = json_ref_get(object, key);
	int64_t number;

	if (json_ref_kind(value) != JSON_KIND_INT ||
		from_ref<dom::element>(value).get(number) != simdjson::SUCCESS)
		return otherwise;
	return number;
}

extern "C" bool json_ref_bool(struct json_ref object, const char *key, bool otherwise)
{
	struct json_ref value = json_ref_get(object, key);
	bool is_true;

	if (json_ref_kind(value) != JSON_KIND_BOOL ||
		from_ref<dom::element>(value).get(is_true) != simdjson::SUCCESS)
		return otherwise;
	return is_true;
}

static struct json_ref get_of_kind(struct json_ref object, const char *key, enum json_kind kind)
{
	struct json_ref value = json_ref_get(object, key);

	return json_ref_kind(value) == kind ? value : json_ref{};
}

extern "C" struct json_ref json_ref_obj(struct json_ref object, const char *key)
{
	return get_of_kind(object, key, JSON_KIND_OBJECT);
}

extern "C" struct json_ref json_ref_arr(struct json_ref object, const char *key)
{
	return get_of_kind(object, key, JSON_KIND_ARRAY);
}

extern "C" struct json_walk json_walk(struct json_ref value)
{
	struct json_walk walk = {};
	enum json_kind kind = json_ref_kind(value);

	if (kind == JSON_KIND_OBJECT) {
		dom::object members = from_ref<dom::element>(value);

		walk.is_object = true;
		walk.next = to_ref(members.begin());
		walk.end = to_ref(members.end());
	} else if (kind == JSON_KIND_ARRAY) {
		dom::array items = from_ref<dom::element>(value);

		walk.next = to_ref(items.begin());
		walk.end = to_ref(items.end());
	}
	return walk;
}

static bool is_at_end(const struct json_walk *walk)
{
	return walk->next.at == walk->end.at;
}

static bool next_member(struct json_walk *walk)
{
	dom::object::iterator at = from_ref<dom::object::iterator>(walk->next);

	walk->key = at.key_c_str();
	walk->value = to_ref(at.value());
	bool is_whole = std::strlen(walk->key) == at.key_length();
	++at;
	walk->next = to_ref(at);
	return is_whole;
}

extern "C" bool json_walk_next(struct json_walk *walk)
{
	while (walk->is_object && !is_at_end(walk)) {
		if (next_member(walk))
			return true;
	}
	if (is_at_end(walk))
		return false;
	dom::array::iterator at = from_ref<dom::array::iterator>(walk->next);
	walk->value = to_ref(*at);
	++at;
	walk->next = to_ref(at);
	return true;
}

// Bytes of a text that JSON writes otherwise: most texts hold none.
static bool is_escaped(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\';
}

static void print_escaped(unsigned char c, struct buf *out)
{
	static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *p = letters; *p != '\0'; p += 2) {
		if (static_cast<unsigned char>(*p) == c) {
			buf_append_char(out, '\\');
			buf_append_char(out, p[1]);
			return;
		}
	}
	buf_printf(out, "\\u%04x", c);
}

// Where a value is written to, and how.
struct printer {
	struct buf *out;
	bool cleans;   // leaves out, or words otherwise, what jansson does not read
	bool is_plain; // jansson reads what was written
};

static void print_value(struct printer *p, dom::element value);

static void print_text(struct printer *p, const char *text, size_t len)
{
	size_t from = 0;

	buf_append_char(p->out, '"');
	for (size_t i = 0; i < len; i++) {
		if (!is_escaped(static_cast<unsigned char>(text[i])))
			continue;
		buf_append(p->out, text + from, i - from);
		print_escaped(static_cast<unsigned char>(text[i]), p->out);
		from = i + 1;
	}
	buf_append(p->out, text + from, len - from);
	buf_append_char(p->out, '"');
}

// False when it was left out.
static bool print_member(struct printer *p, const dom::object::iterator &at, char before)
{
	bool is_whole = std::strlen(at.key_c_str()) == at.key_length();

	if (!is_whole && p->cleans)
		return false;
	p->is_plain = p->is_plain && is_whole;
	buf_append_char(p->out, before);
	print_text(p, at.key_c_str(), at.key_length());
	buf_append_char(p->out, ':');
	print_value(p, at.value());
	return true;
}

static void print_object(struct printer *p, dom::element value)
{
	dom::object members = value;
	char before = '{';

	for (dom::object::iterator at = members.begin(); at != members.end(); ++at) {
		if (print_member(p, at, before))
			before = ',';
	}
	buf_append_str(p->out, before == '{' ? "{}" : "}");
}

static void print_array(struct printer *p, dom::element value)
{
	dom::array items = value;
	char before = '[';

	for (dom::element item : items) {
		buf_append_char(p->out, before);
		print_value(p, item);
		before = ',';
	}
	buf_append_str(p->out, before == '[' ? "[]" : "]");
}

static void print_number(struct printer *p, dom::element value)
{
	bool is_long = value.type() == dom::element_type::UINT64;
	char text[40];
	char *end = text;

	if (value.type() == dom::element_type::INT64) {
		end = std::to_chars(text, text + sizeof(text), int64_t(value)).ptr;
	} else if (is_long && !p->cleans) {
		end = std::to_chars(text, text + sizeof(text), uint64_t(value)).ptr;
		p->is_plain = false;
	} else {
		double number = is_long ? static_cast<double>(uint64_t(value)) : double(value);

		end = simdjson::internal::to_chars(text, text + sizeof(text), number);
	}
	buf_append(p->out, text, static_cast<size_t>(end - text));
}

// As deep as the text that was read, which is bounded.
static void print_value(struct printer *p, dom::element value)
{
	switch (value.type()) {
	case dom::element_type::NULL_VALUE:
		buf_append_str(p->out, "null");
		break;
	case dom::element_type::BOOL:
		buf_append_str(p->out, bool(value) ? "true" : "false");
		break;
	case dom::element_type::STRING:
		print_text(p, value.get_c_str(), value.get_string_length());
		break;
	case dom::element_type::ARRAY:
		print_array(p, value);
		break;
	case dom::element_type::OBJECT:
		print_object(p, value);
		break;
	default:
		print_number(p, value);
	}
}

static bool print(struct json_ref value, struct buf *out, bool cleans)
{
	struct printer p = {out, cleans, true};

	if (value.document == nullptr)
		buf_append_str(out, "null");
	else
		print_value(&p, from_ref<dom::element>(value));
	return p.is_plain;
}

extern "C" bool json_ref_print(struct json_ref value, struct buf *out)
{
	return print(value, out, false);
}

extern "C" void json_ref_print_clean(struct json_ref value, struct buf *out)
{
	print(value, out, true);
}

extern "C" void json_walk_print(const struct json_walk *walk, struct buf *out)
{
	struct printer p = {out, false, true};

	print_text(&p, walk->key, std::strlen(walk->key));
	buf_append_char(out, ':');
	print(walk->value, out, false);
}
