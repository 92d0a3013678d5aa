#include "config.h"

#include "dir_request.h"

#include <string.h>
#include <strings.h>

#include <nonos/directory.h>
#include <nonos/err.h>

#include "dirserv.h"
#include "http_date.h"

static bool text_is(struct text t, const char *s)
{
	return t.len == strlen(s) && memcmp(t.p, s, t.len) == 0;
}

/* Header names and values are compared without regard to case. */
static bool text_is_nocase(struct text t, const char *s)
{
	return t.len == strlen(s) && strncasecmp(t.p, s, t.len) == 0;
}

static struct text text_from(struct text t, size_t start)
{
	return (struct text){ t.p + start, t.len - start };
}

static struct text text_trim(struct text t)
{
	while (t.len && (t.p[0] == ' ' || t.p[0] == '\t'))
		t = text_from(t, 1);
	while (t.len && (t.p[t.len - 1] == ' ' || t.p[t.len - 1] == '\t'))
		t.len--;
	return t;
}

bool text_next(struct text *list, char separator, struct text *ret_item)
{
	const char *stop;

	if (!list->p)
		return false;
	stop = list->len ? memchr(list->p, separator, list->len) : NULL;
	ret_item->p = list->p;
	if (!stop) {
		ret_item->len = list->len;
		*list = (struct text){ NULL, 0 };
		return true;
	}
	ret_item->len = (size_t)(stop - list->p);
	*list = text_from(*list, ret_item->len + 1);
	return true;
}

/* Cut off what stands before CR LF; false when there is none. */
static bool text_next_line(struct text *rest, struct text *ret_line)
{
	const char *stop = memmem(rest->p, rest->len, "\r\n", 2);

	if (!stop)
		return false;
	*ret_line = (struct text){ rest->p, (size_t)(stop - rest->p) };
	*rest = text_from(*rest, ret_line->len + 2);
	return true;
}

static bool text_is_printable(struct text t)
{
	for (size_t i = 0; i < t.len; i++)
		if ((t.p[i] < ' ' && t.p[i] != '\t') || t.p[i] == 0x7f)
			return false;
	return true;
}

enum list_rule { LIST_NONE, LIST_OPTIONAL, LIST_REQUIRED };

static const struct route {
	const char *path;
	enum dir_what what;
	enum list_rule list;
	uint8_t flavour;
} routes[] = {
	{ "/tor/status-vote/current/consensus", DIR_GET_CONSENSUS, LIST_OPTIONAL, DIR_DOC_CONSENSUS_NS },
	{ "/tor/status-vote/current/consensus-microdesc", DIR_GET_CONSENSUS, LIST_OPTIONAL,
	  DIR_DOC_CONSENSUS_MICRODESC },
	{ "/tor/micro/d", DIR_GET_MICRO, LIST_REQUIRED, 0 },
	{ "/tor/server/all", DIR_GET_SERVER_ALL, LIST_NONE, 0 },
	{ "/tor/server/authority", DIR_GET_SERVER_OWN, LIST_NONE, 0 },
	{ "/tor/server/fp", DIR_GET_SERVER_FP, LIST_REQUIRED, 0 },
	{ "/tor/server/d", DIR_GET_SERVER_D, LIST_REQUIRED, 0 },
	{ "/tor/extra/all", DIR_GET_EXTRA_ALL, LIST_NONE, 0 },
	{ "/tor/extra/authority", DIR_GET_EXTRA_OWN, LIST_NONE, 0 },
	{ "/tor/extra/fp", DIR_GET_EXTRA_FP, LIST_REQUIRED, 0 },
	{ "/tor/extra/d", DIR_GET_EXTRA_D, LIST_REQUIRED, 0 },
	{ "/tor/keys/all", DIR_GET_KEYS_ALL, LIST_NONE, 0 },
	{ "/tor/keys/fp", DIR_GET_KEYS_FP, LIST_REQUIRED, 0 },
	{ "/tor/keys/sk", DIR_GET_KEYS_SK, LIST_REQUIRED, 0 },
	{ "/tor/keys/fp-sk", DIR_GET_KEYS_FP_SK, LIST_REQUIRED, 0 },
	{ "/tor/robots.txt", DIR_GET_ROBOTS, LIST_NONE, 0 },
};

/* True when `path` is this route's; *ret_list is what follows its slash, or nothing. */
static bool route_matches(const struct route *route, struct text path, struct text *ret_list)
{
	size_t len = strlen(route->path);

	*ret_list = (struct text){ NULL, 0 };
	if (text_is(path, route->path))
		return route->list != LIST_REQUIRED;
	if (route->list == LIST_NONE || path.len <= len || path.p[len] != '/' ||
	    memcmp(path.p, route->path, len) != 0)
		return false;
	*ret_list = text_from(path, len + 1);
	return true;
}

static void request_set_path(struct dir_request *r, struct text path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!route_matches(&routes[i], path, &r->list))
			continue;
		r->what = routes[i].what;
		r->flavour = routes[i].flavour;
		if (r->list.p && r->list.len == 0)
			r->status = 400;
		return;
	}
}

/* Take "http://host" off, which proxies send, and ".z", which asks for zlib. */
static int request_set_target(struct dir_request *r, struct text target)
{
	const char *slash;

	r->codings = 1u << CODING_IDENTITY;
	if (target.len >= 7 && strncasecmp(target.p, "http://", 7) == 0) {
		slash = memchr(target.p + 7, '/', target.len - 7);
		if (!slash)
			return ERR_MALFORMED;
		target = text_from(target, (size_t)(slash - target.p));
	}
	if (target.len == 0 || target.p[0] != '/')
		return ERR_MALFORMED;
	if (target.len > 2 && memcmp(target.p + target.len - 2, ".z", 2) == 0) {
		target.len -= 2;
		r->codings = 1u << CODING_DEFLATE;
	}
	request_set_path(r, target);
	return 0;
}

/* True for "HTTP/1.0", "HTTP/1.1" and later ones of version 1. */
static bool version_is_known(struct text t)
{
	return t.len == 8 && memcmp(t.p, "HTTP/1.", 7) == 0 && t.p[7] >= '0' && t.p[7] <= '9';
}

static int request_read_line(struct dir_request *r, struct text line)
{
	struct text method, target, version;

	if (!text_next(&line, ' ', &method) || !text_next(&line, ' ', &target) || !text_next(&line, ' ', &version) ||
	    line.p || !version_is_known(version) || !text_is_printable(target))
		return ERR_MALFORMED;
	/* To post is for authorities (dir-spec 6.2). */
	if (text_is(method, "POST"))
		r->status = 400;
	else if (!text_is(method, "GET"))
		r->status = 405;
	return request_set_target(r, target);
}

/* True for "q=0", "q=0.0" and so on: this coding is not wanted. */
static bool parameters_refuse(struct text parameters)
{
	struct text p;

	while (text_next(&parameters, ';', &p)) {
		p = text_trim(p);
		if (p.len < 3 || (p.p[0] != 'q' && p.p[0] != 'Q') || p.p[1] != '=')
			continue;
		p = text_from(p, 2);
		while (p.len && (p.p[0] == '0' || p.p[0] == '.'))
			p = text_from(p, 1);
		return p.len == 0;
	}
	return false;
}

/* Accept-Encoding decides alone, whatever the URL ends in; identity is taken where nothing else is. */
static void request_set_codings(struct dir_request *r, struct text value)
{
	struct text item, name;
	enum coding coding;

	r->codings = 1u << CODING_IDENTITY;
	while (text_next(&value, ',', &item)) {
		if (!text_next(&item, ';', &name))
			continue;
		name = text_trim(name);
		if (coding_parse(&coding, name.p, name.len) == 0 && !parameters_refuse(item))
			r->codings |= 1u << coding;
	}
}

static void request_read_header(struct dir_request *r, struct text line)
{
	struct text name;

	if (!text_is_printable(line) || !text_next(&line, ':', &name) || !line.p) {
		r->status = 400;
		return;
	}
	if (text_is_nocase(name, "Accept-Encoding"))
		request_set_codings(r, line);
	else if (text_is_nocase(name, "If-Modified-Since")) {
		struct text date = text_trim(line);

		(void)http_date_parse(&r->modified_since, date.p, date.len);
	}
}

/* False when the first bytes cannot be those of any method. */
static bool starts_like_http(const char *data, size_t len)
{
	size_t i = 0;

	while (i < len && data[i] >= 'A' && data[i] <= 'Z')
		i++;
	return i <= 16 && (i == len || (i > 0 && data[i] == ' '));
}

int dir_request_parse(struct dir_request *ret, const char *data, size_t len)
{
	struct dir_request r = { .status = 200, .what = DIR_GET_UNKNOWN, .modified_since = -1 };
	struct text rest = { data, len < DIR_REQUEST_MAX ? len : DIR_REQUEST_MAX }, line;
	const char *stop;
	int err;

	if (len == 0)
		return ERR_AGAIN;
	if (!starts_like_http(rest.p, rest.len))
		return ERR_MALFORMED;
	stop = memmem(rest.p, rest.len, "\r\n\r\n", 4);
	if (!stop)
		return len >= DIR_REQUEST_MAX ? ERR_TOO_LONG : ERR_AGAIN;
	rest.len = (size_t)(stop - rest.p) + 2;
	if (!text_next_line(&rest, &line))
		return ERR_MALFORMED;
	err = request_read_line(&r, line);
	if (err < 0)
		return err;
	while (text_next_line(&rest, &line))
		request_read_header(&r, line);
	*ret = r;
	return 0;
}
