#include "config.h"

#include "vote.h"

#include <string.h>

#include <nonos/crypto.h>
#include <nonos/err.h>

#include "consensus.h"
#include "dircert.h"
#include "dirtext.h"

enum { SECTION_HEAD, SECTION_ROUTERS, SECTION_END };

struct reader {
	struct vote_view v;
	const uint8_t *rsa_id;
	int section;
	bool ours;			/* the router being read */
};

/* "12.5" as a whole number of 10^-digits; further digits are dropped. */
static int fixed_parse(uint64_t *ret, struct span s, unsigned digits)
{
	uint64_t v = 0;
	bool point = false;

	if (!s.len)
		return ERR_MALFORMED;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (s.p[i] < '0' || s.p[i] > '9')
			return ERR_MALFORMED;
		if (point && digits == 0)
			continue;
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return ERR_RANGE;
		digits -= point;
	}
	for (; digits; digits--)
		if (__builtin_mul_overflow(v, 10, &v))
			return ERR_RANGE;
	*ret = v;
	return 0;
}

/* The value of "key=value", or nothing. */
static bool value_of(struct span word, const char *key, struct span *ret)
{
	size_t n = strlen(key);

	if (word.len <= n || memcmp(word.p, key, n) != 0 || word.p[n] != '=')
		return false;
	*ret = (struct span){ word.p + n + 1, word.len - n - 1 };
	return true;
}

static void take_u64(struct span word, const char *key, uint64_t *ret)
{
	struct span s;

	if (value_of(word, key, &s))
		(void)span_u64(s, ret, INT64_MAX);
}

/* What does not parse stays 0, as if it was not there. */
static void take_thresholds(struct vote_thresholds *t, struct dir_item *it)
{
	uint64_t flag = 0, ppm;
	struct span word, s;

	while (dir_arg(it, &word)) {
		take_u64(word, "stable-uptime", &t->stable_uptime_s);
		take_u64(word, "stable-mtbf", &t->stable_mtbf_s);
		take_u64(word, "fast-speed", &t->fast_speed);
		take_u64(word, "guard-tk", &t->guard_tk_s);
		take_u64(word, "guard-bw-inc-exits", &t->guard_bw_inc_exits);
		take_u64(word, "guard-bw-exc-exits", &t->guard_bw_exc_exits);
		take_u64(word, "enough-mtbf", &flag);
		if (value_of(word, "guard-wfu", &s) && s.len > 1 && s.p[s.len - 1] == '%' &&
		    fixed_parse(&ppm, (struct span){ s.p, s.len - 1 }, 4) == 0 && ppm <= 1000000)
			t->guard_wfu_ppm = (uint32_t)ppm;
	}
	t->enough_mtbf = flag != 0;
}

static void take_bandwidth(struct reader *r, struct dir_item *it)
{
	struct span word, s;
	uint64_t measured;

	while (dir_arg(it, &word)) {
		if (r->ours)
			take_u64(word, "Bandwidth", &r->v.bandwidth_kb);
		if (!value_of(word, "Measured", &s))
			continue;
		r->v.measures = true;
		if (r->ours && span_u64(s, &measured, INT64_MAX) == 0) {
			r->v.has_measured = true;
			r->v.measured_kb = measured;
		}
	}
}

static void take_stats(struct vote_view *v, struct dir_item *it)
{
	struct span word, s;
	uint64_t ppm;

	v->has_stats = true;
	while (dir_arg(it, &word)) {
		take_u64(word, "tk", &v->tk_s);
		take_u64(word, "mtbf", &v->mtbf_s);
		if (value_of(word, "wfu", &s) && fixed_parse(&ppm, s, 6) == 0 && ppm <= 1000000)
			v->wfu_ppm = (uint32_t)ppm;
	}
}

static int take_router(struct reader *r, struct dir_item *it)
{
	struct span nickname;
	uint8_t id[20];

	if (!dir_arg(it, &nickname) || dir_arg_base64(it, id, sizeof(id)) < 0)
		return ERR_MALFORMED;
	r->ours = !r->v.listed && memcmp(id, r->rsa_id, sizeof(id)) == 0;
	r->v.listed = r->v.listed || r->ours;
	return 0;
}

static int take_router_item(struct reader *r, struct dir_item *it)
{
	struct span word;

	if (dir_item_is(it, "r"))
		return take_router(r, it);
	if (dir_item_is(it, "w"))
		take_bandwidth(r, it);
	else if (r->ours && dir_item_is(it, "stats"))
		take_stats(&r->v, it);
	else if (r->ours && dir_item_is(it, "s"))
		while (dir_arg(it, &word))
			r->v.flags |= relay_flag_parse(word);
	return 0;
}

static int take_head_item(struct reader *r, struct dir_item *it, bool *is_vote)
{
	struct span word;

	if (dir_item_is(it, "vote-status"))
		*is_vote = dir_arg(it, &word) && span_eq(word, "vote");
	else if (dir_item_is(it, "valid-after"))
		return dir_arg_time(it, &r->v.valid_after);
	if (dir_item_is(it, "flag-thresholds") && !r->v.has_thresholds) {
		r->v.has_thresholds = true;
		take_thresholds(&r->v.thresholds, it);
	}
	return 0;
}

static bool is_version_3(struct dir_item *it)
{
	struct span word;

	return dir_item_is(it, "network-status-version") && dir_arg(it, &word) && span_eq(word, "3");
}

int vote_read(struct vote_view *ret, const char *text, size_t len, const uint8_t rsa_id[20])
{
	struct reader r = { .rsa_id = rsa_id };
	struct dirtext t = dirtext_init(text, len);
	struct dir_item it;
	bool is_vote = false;
	int e;

	if (len > VOTE_LEN_MAX || dirtext_next(&t, &it) < 0)
		return ERR_MALFORMED;
	if (!is_version_3(&it))
		return ERR_UNSUPPORTED;
	while ((e = dirtext_next(&t, &it)) == 0 && r.section != SECTION_END) {
		if (dir_item_is(&it, "directory-footer"))
			r.section = SECTION_END;
		else if (dir_item_is(&it, "r"))
			r.section = SECTION_ROUTERS;
		if (r.section == SECTION_HEAD)
			e = take_head_item(&r, &it, &is_vote);
		else if (r.section == SECTION_ROUTERS)
			e = take_router_item(&r, &it);
		if (e < 0)
			return ERR_MALFORMED;
	}
	if (e < 0 && e != ERR_NOT_FOUND)
		return ERR_MALFORMED;
	if (!is_vote)
		return ERR_UNSUPPORTED;
	if (r.section != SECTION_END || !r.v.valid_after)
		return ERR_MALFORMED;
	*ret = r.v;
	return 0;
}

/* "directory-signature" identity signing-key-digest, over all through the space after the keyword. */
int vote_check(const char *text, size_t len, const uint8_t v3ident[20], const struct dircerts *certs)
{
	static const char keyword[] = "directory-signature";
	const char *line = dir_find_line(text, len, keyword);
	uint8_t identity[20], signing[20], digest[SHA1_LEN], sig[512];
	const struct dircert *cert;
	struct dir_item it;
	struct dirtext t;
	size_t sig_len;

	if (!line)
		return ERR_MALFORMED;
	t = dirtext_init(line, len - (size_t)(line - text));
	if (dirtext_next(&t, &it) < 0 || line[sizeof(keyword) - 1] != ' ' ||
	    dir_arg_hex(&it, identity, sizeof(identity)) < 0 || dir_arg_hex(&it, signing, sizeof(signing)) < 0 ||
	    dir_object(&it, "SIGNATURE", sig, sizeof(sig), &sig_len) < 0)
		return ERR_MALFORMED;
	cert = dircerts_find(certs, identity, signing);
	if (memcmp(identity, v3ident, sizeof(identity)) != 0 || !cert)
		return ERR_NOT_FOUND;
	sha1(digest, text, (size_t)(line - text) + sizeof(keyword));
	return rsa_verify_raw(cert->signing_key, sig, sig_len, digest, sizeof(digest));
}
