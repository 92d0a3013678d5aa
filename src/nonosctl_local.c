#include "config.h"

#include "nonosctl_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nonos/anyone_rewards.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/eth_sig.h>
#include <nonos/jcs.h>
#include <nonos/mem.h>
#include <nonos/secret.h>
#include <nonos/typed.h>

enum { TAKES_KEY_FILE = 1, TAKES_SIGNATURE = 2, TAKES_SIGNER = 4 };

enum { TYPED_FILE_MAX = 1 << 20, REWARDS_FILE_MAX = 256 << 20, KEY_FILE_MAX = 128 };

struct local_command {
	const char *words;
	int (*run)(const struct ctl_options *o, const char *path);
	unsigned takes;
	const char *sentence;
};

/* -- saying what is wrong ------------------------------------------------------- */

static int __attribute__((format(printf, 2, 3))) complain(enum exit_code status, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fputs("nonosctl: ", stderr);
	view_escaped(stderr, text);
	fputc('\n', stderr);
	return status;
}

static int print(const struct ctl_options *o, json_t *answer)
{
	if (o->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
	} else {
		view_any(stdout, answer);
	}
	json_decref(answer);
	return EXIT_OK;
}

static void set_hex(json_t *object, const char *name, const uint8_t *data, size_t len)
{
	char *text = mem_new(2 * len + 3);

	memcpy(text, "0x", 2);
	hex_encode(text + 2, data, len);
	json_object_set_new(object, name, json_string(text));
	free(text);
}

static void set_address(json_t *object, const char *name, const struct eth_addr *a)
{
	char text[ETH_ADDR_TEXT_CAP];

	eth_addr_text(text, a);
	json_object_set_new(object, name, json_string(text));
}

/* -- reading files -------------------------------------------------------------- */

/* Read all of `f`, at most `max` bytes; *ret is malloc()ed. */
static int read_all(char **ret, size_t *ret_len, FILE *f, size_t max)
{
	size_t cap = 65536, len = 0, n;
	char *data = mem_new(cap);

	while ((n = fread(data + len, 1, cap - len, f)) > 0) {
		len += n;
		if (len > max) {
			free(data);
			return ERR_TOO_LONG;
		}
		if (len == cap) {
			cap *= 2;
			data = mem_resize(data, cap, 1);
		}
	}
	if (ferror(f)) {
		free(data);
		return ERR_IO;
	}
	*ret = data;
	*ret_len = len;
	return 0;
}

static int read_file(char **ret, size_t *ret_len, const char *path, size_t max)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *f = standard ? stdin : fopen(path, "rb");
	int r;

	if (!f)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	r = read_all(ret, ret_len, f, max);
	if (!standard)
		fclose(f);
	if (r == ERR_TOO_LONG)
		return complain(EXIT_REFUSED, "%s: longer than the %zu bytes that this command reads", path, max);
	return r < 0 ? complain(EXIT_REFUSED, "%s: cannot be read", path) : EXIT_OK;
}

/* Read JSON; `integers` when the profile of canonical JSON is wanted. */
static int read_json(json_t **ret, const char *path, size_t max, bool integers)
{
	json_error_t e = { .line = 0 };
	size_t len = 0;
	char *text = NULL;
	int r = read_file(&text, &len, path, max);

	if (r != EXIT_OK)
		return r;
	*ret = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
	if (!*ret) {
		r = complain(EXIT_REFUSED, "%s: line %d: %s", path, e.line, e.text);
	} else if (integers) {
		json_decref(*ret);
		if (jcs_read(ret, text, len) < 0)
			r = complain(EXIT_REFUSED, "%s: numbers must be whole, below 2^53 and without exponent, "
				     "and nesting is limited to %d", path, JCS_DEPTH_MAX);
	}
	free(text);
	return r;
}

/* A file of the key's 64 digits, which nobody else may read. */
static int read_key(uint8_t secret[ETH_SECRET_LEN], const char *path)
{
	char text[KEY_FILE_MAX], *digits = text;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r = EXIT_OK;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		r = complain(EXIT_REFUSED, "%s: not a regular file", path);
	else if (st.st_mode & 077)
		r = complain(EXIT_REFUSED, "%s: others may read or change this key; chmod 600 it", path);
	else if ((n = read(fd, text, sizeof(text))) < 0)
		r = complain(EXIT_REFUSED, "%s: %s", path, strerror(errno));
	close(fd);
	if (r != EXIT_OK)
		return r;
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n > 2 && memcmp(digits, "0x", 2) == 0) {
		digits += 2;
		n -= 2;
	}
	if (n != 2 * ETH_SECRET_LEN || hex_decode(secret, ETH_SECRET_LEN, digits, (size_t)n) < 0)
		r = complain(EXIT_REFUSED, "%s: not a key, 64 hexadecimal digits", path);
	secret_wipe(text, sizeof(text));
	return r;
}

/* -- typed ---------------------------------------------------------------------- */

static int hash_file(struct typed_hashes *ret, const char *path)
{
	char why[TYPED_WHY_CAP];
	json_t *doc;
	int r = read_json(&doc, path, TYPED_FILE_MAX, true);

	if (r != EXIT_OK)
		return r;
	if (typed_hash(ret, why, doc) < 0)
		r = complain(EXIT_REFUSED, "%s: %s", path, why);
	json_decref(doc);
	return r;
}

static int local_typed_hash(const struct ctl_options *o, const char *path)
{
	struct typed_hashes h;
	json_t *answer;
	int r = hash_file(&h, path);

	if (r != EXIT_OK)
		return r;
	answer = json_object();
	set_hex(answer, "typeHash", h.type_hash, sizeof(h.type_hash));
	set_hex(answer, "structHash", h.struct_hash, sizeof(h.struct_hash));
	set_hex(answer, "domainSeparator", h.domain_separator, sizeof(h.domain_separator));
	set_hex(answer, "digest", h.digest, sizeof(h.digest));
	return print(o, answer);
}

/* A signature by another account than the message names would be good for nothing. */
static int check_signer(const struct typed_hashes *h, const struct eth_addr *signer, const char *whose)
{
	char named[ETH_ADDR_TEXT_CAP], other[ETH_ADDR_TEXT_CAP];

	if (!h->has_signer || eth_addr_eq(&h->signer, signer))
		return EXIT_OK;
	eth_addr_text(named, &h->signer);
	eth_addr_text(other, signer);
	return complain(EXIT_REFUSED, "the message must be signed by %s, but %s is %s", named, whose, other);
}

static int sign(uint8_t sig[ETH_SIG_LEN], struct eth_addr *signer, const struct typed_hashes *h, const uint8_t *secret)
{
	int r;

	if (eth_addr_of_secret(signer, secret) < 0)
		return complain(EXIT_REFUSED, "the number in the key file is no secp256k1 key");
	r = check_signer(h, signer, "the account of the key");
	if (r == EXIT_OK && eth_sig_sign(sig, secret, h->digest) < 0)
		r = complain(EXIT_REFUSED, "the message could not be signed");
	return r;
}

static int local_typed_sign(const struct ctl_options *o, const char *path)
{
	uint8_t secret[ETH_SECRET_LEN], sig[ETH_SIG_LEN];
	struct eth_addr signer;
	struct typed_hashes h;
	json_t *answer;
	int r;

	if (!o->key_file)
		return complain(EXIT_USAGE, "typed sign needs --key-file; see nonosctl --help");
	r = hash_file(&h, path);
	if (r == EXIT_OK)
		r = read_key(secret, o->key_file);
	if (r == EXIT_OK)
		r = sign(sig, &signer, &h, secret);
	secret_wipe(secret, sizeof(secret));
	if (r != EXIT_OK)
		return r;
	answer = json_object();
	set_address(answer, "signer", &signer);
	set_hex(answer, "digest", h.digest, sizeof(h.digest));
	set_hex(answer, "signature", sig, sizeof(sig));
	return print(o, answer);
}

static int parse_signature(uint8_t sig[ETH_SIG_LEN], const char *text)
{
	const char *digits = strncmp(text, "0x", 2) == 0 ? text + 2 : text;

	if (hex_decode(sig, ETH_SIG_LEN, digits, strlen(digits)) < 0)
		return complain(EXIT_REFUSED, "the signature is not %d bytes in hexadecimal digits", ETH_SIG_LEN);
	return EXIT_OK;
}

static int recover(struct eth_addr *ret, const struct typed_hashes *h, const uint8_t sig[ETH_SIG_LEN])
{
	switch (eth_sig_recover(ret, h->digest, sig, ETH_SIG_LEN)) {
	case 0:
		return EXIT_OK;
	case ERR_MALFORMED:
		return complain(EXIT_REFUSED, "the signature is not in the one accepted form: v 27 or 28, r and s in range, "
				"s in the lower half");
	default:
		return complain(EXIT_REFUSED, "no key can have made this signature");
	}
}

static int check_claimed(const struct eth_addr *found, const char *claimed)
{
	char text[ETH_ADDR_TEXT_CAP];
	struct eth_addr a;

	if (!claimed)
		return EXIT_OK;
	if (eth_addr_parse(&a, claimed, strlen(claimed)) < 0)
		return complain(EXIT_USAGE, "--signer \"%s\" is not an address, or its checksum is wrong", claimed);
	eth_addr_text(text, found);
	return eth_addr_eq(&a, found) ? EXIT_OK : complain(EXIT_REFUSED, "signed by %s, or over another message", text);
}

static int local_typed_verify(const struct ctl_options *o, const char *path)
{
	uint8_t sig[ETH_SIG_LEN];
	struct typed_hashes h;
	struct eth_addr found;
	json_t *answer;
	int r;

	if (!o->signature)
		return complain(EXIT_USAGE, "typed verify needs --signature; see nonosctl --help");
	r = hash_file(&h, path);
	if (r == EXIT_OK)
		r = parse_signature(sig, o->signature);
	if (r == EXIT_OK)
		r = recover(&found, &h, sig);
	if (r == EXIT_OK)
		r = check_claimed(&found, o->signer);
	if (r == EXIT_OK)
		r = check_signer(&h, &found, "what the signature recovers to");
	if (r != EXIT_OK)
		return r;
	answer = json_pack("{s:b}", "valid", 1);
	set_address(answer, "signer", &found);
	set_hex(answer, "digest", h.digest, sizeof(h.digest));
	return print(o, answer);
}

/* -- rewards -------------------------------------------------------------------- */

static void print_tokens(struct amount a)
{
	char text[AMOUNT_TEXT_CAP];

	amount_token_text(text, a);
	printf("  %-22s", text);
}

static void print_round(const struct anyone_round *r)
{
	char text[AMOUNT_TEXT_CAP];

	printf("%-*s  %-22s  %-22s  %-22s  %-22s  %-22s  %s\n", ANYONE_ID_LEN, "relay", "due", "network", "hardware", "uptime",
	       "exit", "to delegate");
	for (size_t i = 0; i < r->n_relays; i++) {
		const struct anyone_relay *relay = &r->relays[i];

		printf("%s", relay->id);
		print_tokens(relay->total);
		print_tokens(relay->network_due);
		print_tokens(relay->hardware_due);
		print_tokens(relay->uptime_due);
		print_tokens(relay->exit_due);
		amount_token_text(text, relay->delegate_total);
		printf("  %s\n", text);
	}
	amount_token_text(text, r->total);
	printf("\n%zu relays are due %s tokens for %llu seconds\n", r->n_relays, text, (unsigned long long)r->seconds);
}

static int local_rewards_compute(const struct ctl_options *o, const char *path)
{
	char why[ANYONE_WHY_CAP];
	struct anyone_round *round;
	json_t *doc;
	int r = read_json(&doc, path, REWARDS_FILE_MAX, false);

	if (r != EXIT_OK)
		return r;
	if (anyone_round_read(&round, why, doc) < 0) {
		json_decref(doc);
		return complain(EXIT_REFUSED, "%s: %s", path, why);
	}
	json_decref(doc);
	if (anyone_compute(round) < 0)
		r = complain(EXIT_REFUSED, "%s: a rating or an amount leaves its range", path);
	else if (o->json)
		r = print(o, anyone_round_json(round));
	else
		print_round(round);
	anyone_round_free(round);
	return r;
}

/* -- the table ------------------------------------------------------------------ */

static const struct local_command commands[] = {
#define LOCAL_COMMAND(words, name, takes, sentence) { words, local_##name, takes, sentence },
#include <nonos/local_commands.def>
#undef LOCAL_COMMAND
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]), SPELLED_CAP = 64 };

/* How many of the words spell `words`, whose parts are joined by dots; 0 when they do not. */
static int match(const char *words, int argc, char **argv)
{
	const char *p = words;
	int i = 0;

	for (; i < argc; i++) {
		size_t len = strlen(argv[i]);

		if (len == 0 || strncmp(p, argv[i], len) != 0)
			return 0;
		p += len;
		if (*p == '\0')
			return i + 1;
		if (*p++ != '.')
			return 0;
	}
	return 0;
}

const struct local_command *local_find(int *ret_used, int argc, char **argv)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		*ret_used = match(commands[i].words, argc, argv);
		if (*ret_used)
			return &commands[i];
	}
	return NULL;
}

/* Dots of a command are spaces when people read it. */
static void spell(char out[SPELLED_CAP], const struct local_command *c)
{
	snprintf(out, SPELLED_CAP, "%s", c->words);
	for (char *p = out; *p; p++)
		if (*p == '.')
			*p = ' ';
}

int local_run(const struct local_command *c, const struct ctl_options *o, int argc, char **argv)
{
	char words[SPELLED_CAP];
	int r;

	spell(words, c);
	if (argc != 1)
		return complain(EXIT_USAGE, "%s takes one FILE; see nonosctl --help", words);
	if (o->dry_run)
		return complain(EXIT_USAGE, "\"%s\" changes nothing, so it takes no --dry-run", words);
	if ((o->key_file && !(c->takes & TAKES_KEY_FILE)) || (o->signature && !(c->takes & TAKES_SIGNATURE)) ||
	    (o->signer && !(c->takes & TAKES_SIGNER)))
		return complain(EXIT_USAGE, "%s does not take that option; see nonosctl --help", words);
	r = c->run(o, argv[0]);
	if (fflush(stdout) != 0 || ferror(stdout))
		return complain(EXIT_REFUSED, "writing the answer: %s", strerror(errno));
	return r;
}

void local_help(FILE *out)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char words[SPELLED_CAP];

		spell(words, &commands[i]);
		fprintf(out, "  %s FILE%*s%s\n", words, 17 - (int)strlen(words), "", commands[i].sentence);
	}
}
