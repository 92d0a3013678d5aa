/* Putting values into the JSON of an answer. Out of memory ends the process, as elsewhere. */
#ifndef DAEMON_ANSWER_H
#define DAEMON_ANSWER_H

#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include <nonos/addr.h>
#include <nonos/mem.h>

/* Takes over `value`. */
static inline void put(json_t *o, const char *name, json_t *value)
{
	if (!value || json_object_set_new(o, name, value) < 0)
		mem_fail();
}

/* NULL is null. */
static inline void put_text(json_t *o, const char *name, const char *text)
{
	put(o, name, text ? json_string(text) : json_null());
}

static inline void put_number(json_t *o, const char *name, uint64_t v)
{
	put(o, name, json_integer((json_int_t)(v > INT64_MAX ? INT64_MAX : v)));
}

/* Wall seconds; null for never. */
static inline void put_time(json_t *o, const char *name, int64_t wall_s)
{
	put(o, name, wall_s ? json_integer(wall_s) : json_null());
}

static inline void put_addr(json_t *o, const char *name, const struct addr *a)
{
	char text[ADDR_TEXT_CAP];

	put_text(o, name, a->family == ADDR_NONE ? NULL : addr_format(text, a));
}

/* A stranger's words: at most 200 characters, of which only printable ASCII gets into JSON. */
static inline void put_message(json_t *o, const char *name, const char *text)
{
	char clean[201];
	size_t n = 0;

	for (; n + 1 < sizeof(clean) && text[n]; n++)
		clean[n] = text[n] >= 0x20 && text[n] < 0x7f ? text[n] : '?';
	clean[n] = '\0';
	put_text(o, name, clean);
}

static inline void put_item(json_t *list, json_t *value)
{
	if (!value || json_array_append_new(list, value) < 0)
		mem_fail();
}

#endif
