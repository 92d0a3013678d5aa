/* The files of a relay on their way into a backup and out of it. */
#ifndef CTL_BACKUP_TREE_H
#define CTL_BACKUP_TREE_H

#include <nonos/backup.h>
#include <nonos/conf.h>

#include "ctl.h"

/* The file of a backup that tells of the others. */
extern const char backup_about_name[];

/* What a backup is found to hold. */
struct backup_findings {
	bool has_identity;
	char fingerprint[41], ed25519[44];
	bool master_offline;
	bool signing_expired;		/* the master key must make a new signing key first */
	unsigned keystores, family_keys;
	bool has_config, has_journal_key;
};

/* Add the files of the relay of a configuration. EXIT_OK, or an exit status after a complaint. */
int backup_collect(struct backup *b, const struct config *c, const char *config_file);

/* Put all files below the directory `dir`; each must be new. */
int backup_put(int dir, const struct backup *b);

/*
 * Prove that a relay can start from the files: they are put into memory (a directory of
 * /dev/shm) for a moment and opened as the daemon does. Complains about `what`.
 */
int backup_check(struct backup_findings *ret, const struct backup *b, const char *what);

#endif
