/* The schema of typed data as a table; shared by its reader and the encoder. */
#ifndef LEDGER_TYPED_PRIV_H
#define LEDGER_TYPED_PRIV_H

#include <nonos/typed.h>

enum typed_kind { KIND_UINT, KIND_ADDRESS, KIND_BYTES32, KIND_BYTES, KIND_STRING, KIND_STRUCT };

struct typed_field {
	const char *name, *type;		/* as the schema writes them */
	enum typed_kind kind;			/* of an element, when it is an array */
	bool array;
	unsigned bits;				/* of KIND_UINT */
	const struct typed_type *ref;		/* of KIND_STRUCT */
};

struct typed_type {
	const char *name;
	struct typed_field *fields;
	size_t n_fields;
	const char *signer;			/* the field that must have signed, or NULL */
	char *encoding;
	uint8_t hash[KECCAK256_LEN];
};

struct typed_schema {
	struct typed_type domain;		/* EIP712Domain */
	const char *domain_name, *domain_version;
	struct typed_type *types;
	size_t n_types;
};

/* Read at the first call, from the copy inside the program; then threads may share it. */
const struct typed_schema *typed_schema(void);

#endif
