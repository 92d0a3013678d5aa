/*
 * Any request against a server that has one of each document. Every answer is
 * read to its end in steps of the size of a cell.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/addr.h>
#include <nonos/clock.h>
#include <nonos/dir_doc.h>
#include <nonos/err.h>

#include "../../relay/dir/dirserv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct dir_entry entry(const char *letters, size_t each, const char *text)
{
	struct dir_entry e = { .data = (const uint8_t *)text, .len = strlen(text) };
	size_t at = 0;

	for (const char *l = letters; *l; l++, at += each)
		memset(e.key + at, *l, each);
	return e;
}

static struct dir_entry tagged(char tag, char letter, const char *text)
{
	struct dir_entry e = { .data = (const uint8_t *)text, .len = strlen(text) };

	e.key[0] = (uint8_t)tag;
	memset(e.key + 1, letter, 20);
	return e;
}

static struct dir_entry named(const char *name, const char *text)
{
	struct dir_entry e = { .data = (const uint8_t *)text, .len = strlen(text) };

	memcpy(e.key, name, strlen(name));
	return e;
}

static void set(struct dirserv *s, uint8_t kind, const struct dir_entry *entries, size_t n)
{
	struct dir_doc_meta meta = { .kind = kind, .valid_after = 1000, .fresh_until = 2000, .valid_until = 3000,
				     .last_modified = 1000, .n_signers = 2 };
	int fd;

	memset(meta.signers[0], 'A', 20);
	memset(meta.signers[1], 'B', 20);
	if (dir_doc_build(&fd, &meta, entries, n) < 0 || dirserv_set_document(s, kind, fd) < 0)
		abort();
}

static struct dirserv *server_new(void)
{
	struct dirserv *s = dirserv_new();
	const struct dir_entry consensus[] = { named("plain", "network-status-version 3\n"), named("deflate", "zz") };
	const struct dir_entry micro[] = { entry("m", 32, "onion-key\n") };
	const struct dir_entry servers[] = { tagged('F', 'F', "router f\n"), tagged('D', 'D', "router f\n"),
					     tagged('f', 'F', "extra-info f\n"), tagged('d', 'D', "extra-info f\n") };
	const struct dir_entry certs[] = { entry("AS", 20, "dir-key-certificate-version 3\n"),
					   entry("AT", 20, "dir-key-certificate-version 3\n") };
	const struct dir_entry own[] = {
		named("server", "router own\n"
				"fingerprint 4F4F 4F4F 4F4F 4F4F 4F4F 4F4F 4F4F 4F4F 4F4F 4F4F\n"),
		named("extra", "extra-info own\n"),
	};

	clock_set_manual(1000, 1500);
	set(s, DIR_DOC_CONSENSUS_NS, consensus, 2);
	set(s, DIR_DOC_CONSENSUS_MICRODESC, consensus, 2);
	set(s, DIR_DOC_MICRODESCS, micro, 1);
	set(s, DIR_DOC_DESCRIPTORS, servers, 4);
	set(s, DIR_DOC_CERTS, certs, 2);
	set(s, DIR_DOC_OWN, own, 2);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct addr peer = { .family = ADDR_V4, .ip = { 192, 0, 2, 1 } };
	static struct dirserv *s;
	struct dir_reply *reply = NULL;
	uint8_t cell[498];
	size_t n, sum = 0;
	int r;

	if (!s)
		s = server_new();
	r = dirserv_request(s, &reply, (const char *)data, len, &peer);
	if (r < 0) {
		if (reply || (r == ERR_AGAIN && len >= DIR_REQUEST_MAX))
			abort();
		return 0;
	}
	while ((n = dir_reply_read(reply, cell, sizeof(cell))) > 0) {
		sum += n;
		if (sum > 100000 || dir_reply_bytes(reply) > 400000)
			abort();
	}
	if (sum < 17 || dir_reply_read(reply, cell, 1) != 0)
		abort();
	dir_reply_free(reply);
	return 0;
}
