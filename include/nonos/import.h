/* nonosd --import-identity: a relay moves here from tor or anon. */
#ifndef NONOS_IMPORT_H
#define NONOS_IMPORT_H

/*
 * Copy the identity below `from` into the data directory that the configuration names.
 * What happens is told on stdout or stderr.
 */
int import_identity(const char *config_path, const char *from);

#endif
