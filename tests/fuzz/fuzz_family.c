/* What families are made of: key files, certificates, and the lines of microdescriptors. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include <nonos/crypto.h>
#include <nonos/family.h>

#include "../../relay/dir/microdesc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void words(struct span text, const char *keyword)
{
	struct dir_item it;
	struct span s;

	if (!microdesc_line(&it, text, keyword))
		return;
	while (dir_arg(&it, &s))
		if (s.p < text.p || s.p + s.len > text.p + text.len)
			abort();
	(void)microdesc_has_word(text, keyword, "ed25519:zn+SVlFlfwohtG6p1g9PV2p5MedBy+2/E3U7aAKsLto");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t ed_id[32];
	uint8_t id[FAMILY_ID_LEN];
	static bool ready;

	if (!ready && crypto_init() < 0)
		abort();
	ready = true;
	(void)family_key_parse(id, data, len);
	(void)family_cert_check(id, data, len, ed_id, 0);
	words((struct span){ (const char *)data, len }, "family");
	words((struct span){ (const char *)data, len }, "family-ids");
	return 0;
}
