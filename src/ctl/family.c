/* family new, family show: the key of a family, in tor's own format. */
#include "config.h"

#include "ctl.h"

#include <nonos/crypto.h>
#include <nonos/family.h>

static int answer(const struct invocation *in, const char *id, const char *file, bool dry_run)
{
	return print_answer(in, json_pack("{s:b, s:s?, s:s}", "dry_run", dry_run, "id", id, "file", file));
}

int local_family_new(const struct invocation *in)
{
	const char *name = param_text(in->params, "name"), *dir = param_text(in->params, "dir");
	char err[512], text[FAMILY_ID_CAP], file[4400];
	uint8_t id[FAMILY_ID_LEN];

	if (!dir)
		dir = ".";
	snprintf(file, sizeof(file), "%s/%s.secret_family_key", dir, name);
	if (crypto_init() < 0)
		return complain(EXIT_REFUSED, "libcrypto or libsodium cannot start");
	if (in->options.dry_run) {
		if (family_may_create(dir, name, err, sizeof(err)) < 0)
			return complain(EXIT_REFUSED, "%s", err);
		return answer(in, NULL, file, true);
	}
	if (family_create(id, dir, name, err, sizeof(err)) < 0)
		return complain(EXIT_REFUSED, "%s", err);
	return answer(in, family_id_format(text, id), file, false);
}

int local_family_show(const struct invocation *in)
{
	const char *file = param_text(in->params, "file");
	char err[512], text[FAMILY_ID_CAP];
	uint8_t id[FAMILY_ID_LEN];

	if (crypto_init() < 0)
		return complain(EXIT_REFUSED, "libcrypto or libsodium cannot start");
	if (family_read_id(id, file, err, sizeof(err)) < 0)
		return complain(EXIT_REFUSED, "%s", err);
	return answer(in, family_id_format(text, id), file, false);
}
