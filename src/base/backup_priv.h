/* Between backup.c and backup_seal.c. */
#ifndef BASE_BACKUP_PRIV_H
#define BASE_BACKUP_PRIV_H

struct backup;
struct secret;

/* The plaintext of a backup. */
struct secret *backup_text(const struct backup *b);

#endif
