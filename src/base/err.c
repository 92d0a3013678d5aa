#include "config.h"

#include <nonos/err.h>

const char *err_str(int code)
{
	switch (-code) {
	case 0:
		return "success";
#define X(name, number, text) case number: return text;
	ERR_TABLE(X)
#undef X
	}
	return "unknown error";
}
