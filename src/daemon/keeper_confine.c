/* What the keeper still needs once the workers run: see sandbox.h. */
#include "config.h"

#include "keeper.h"

#include <nonos/err.h>
#include <nonos/log.h>

int keeper_confine(struct keeper *k, char *err, size_t err_cap)
{
	const struct config *c = k->config;
	const struct sandbox_path paths[] = {
		{ c->data_dir, SANDBOX_WRITE },
		{ c->control_socket, SANDBOX_WRITE },
		{ c->metrics_socket, SANDBOX_WRITE },	/* beside the other, when not set */
		{ c->pid_file, SANDBOX_REMOVE },
		{ k->config_path, SANDBOX_READ },
		{ c->network_file, SANDBOX_READ },
		{ c->resolv_conf, SANDBOX_READ },
		{ c->family_key_dir, SANDBOX_READ },
		{ c->genesis, SANDBOX_READ },
		{ c->journal, SANDBOX_WRITE },
		{ c->journal_key, SANDBOX_READ },
		{ c->auditor_key, SANDBOX_READ },
		{ c->auditor_password_file, SANDBOX_READ },
		{ c->claim_key, SANDBOX_READ },
		{ c->claim_password_file, SANDBOX_READ },
		{ NONOS_DATADIR, SANDBOX_READ },
	};
	char lacks[64];
	int r;

	if (!c->sandbox)
		return 0;
	if (k->one_process) {
		log_notice("The daemon does not confine itself: it runs as one process, for debugging.");
		return 0;
	}
	r = sandbox_enter(&k->sandbox, SANDBOX_KEEPER, paths, sizeof(paths) / sizeof(paths[0]), lacks, sizeof(lacks),
			  err, err_cap);
	if (r == 0 && lacks[0])
		log_notice("This kernel, or this build, cannot confine the daemon as much as it could: no %s.", lacks);
	return r;
}
