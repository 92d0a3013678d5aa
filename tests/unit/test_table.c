/* Tables of nonosctl: alignment, CSV, TSV, text from strangers, the width of a terminal. */
#include "config.h"

#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/err.h>

#include "../../src/ctl/ctl.h"

static const struct table_column columns[] = {
	{ "name", "name", TABLE_TEXT }, { "size", "size", TABLE_BYTES }, { "in.due", "due", TABLE_TOKENS },
	{ "on", "on", TABLE_TEXT }, { "flags", "flags", TABLE_TEXT },
};

static const struct table table = { "rows", columns, 5 };

static const char answer_text[] =
	"{\"rows\": ["
	"{\"name\": \"a,\\\"b\\\"\", \"size\": 1500, \"in\": {\"due\": \"1500000000000000000\"}, \"on\": true, \"flags\": [\"Fast\", \"Exit\"]},"
	"{\"name\": \"\\u001b[2Jx\\n\\ty\", \"size\": \"?\", \"in\": 5, \"on\": null}]}";

static char *print(const char *json, const struct table *t, enum output_format format)
{
	json_t *answer = json_loads(json, JSON_DECODE_ANY, NULL);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(answer);
	table_print(f, t, answer, format);
	fclose(f);
	json_decref(answer);
	return text;
}

static void expect(const char *json, const struct table *t, enum output_format format, const char *want)
{
	char *got = print(json, t, format);

	assert_string_equal(got, want);
	free(got);
}

static void test_forms(void **state)
{
	(void)state;
	expect(answer_text, &table, FORMAT_TABLE,
	       "name                 size  due  on   flags\n"
	       "a,\"b\"              1.5 kB  1.5  yes  Fast Exit\n"
	       "\\x1b[2Jx\\x0a\\x09y       ?    -  -    -\n");
	expect(answer_text, &table, FORMAT_CSV,
	       "name,size,in.due,on,flags\n"
	       "\"a,\"\"b\"\"\",1500,1500000000000000000,true,Fast Exit\n"
	       "\\x1b[2Jx\\x0a\\x09y,?,,,\n");
	expect(answer_text, &table, FORMAT_TSV,
	       "name\tsize\tin.due\ton\tflags\n"
	       "a,\"b\"\t1500\t1500000000000000000\ttrue\tFast Exit\n"
	       "\\x1b[2Jx\\x0a\\x09y\t?\t\t\t\n");
	expect("{}", &table, FORMAT_CSV, "name,size,in.due,on,flags\n");
}

/* Without columns of its own an answer is still a table. */
static void test_any(void **state)
{
	(void)state;
	expect("[{\"a\": 1, \"b\": \"x\"}, {\"a\": 22}]", NULL, FORMAT_TABLE, " a  b\n 1  x\n22  -\n");
	expect("{\"a\": {\"b\": 1.5, \"c\": [\"x\", \"y\"]}, \"d\": [{\"e\": null}], \"f\": []}", NULL, FORMAT_CSV,
	       "name,value\na.b,1.5\na.c,x y\nd[0].e,\nf,\n");
	expect("5", NULL, FORMAT_TSV, "name\tvalue\n\t5\n");
	expect("[]", NULL, FORMAT_TABLE, "");
	expect("[{}]", NULL, FORMAT_CSV, "");
}

/* What a terminal of 20 columns gets. */
static void print_on_terminal(char ret[512], const struct table *t, const char *json)
{
	struct winsize size = { .ws_col = 20, .ws_row = 5 };
	json_t *answer = json_loads(json, 0, NULL);
	int master, slave;
	ssize_t n;
	FILE *f;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
	f = fdopen(slave, "w");
	setvbuf(f, NULL, _IOFBF, 4096);	/* so that what is read comes at once */
	table_print(f, t, answer, FORMAT_TABLE);
	fflush(f);
	n = read(master, ret, 511);
	assert_true(n > 0);
	ret[n] = '\0';
	fclose(f);
	close(master);
	json_decref(answer);
}

/* On a terminal lines are kept within it: the widest text gives way, numbers do not. */
static void test_terminal(void **state)
{
	static const struct table_column two[] = { { "t", "text", TABLE_TEXT }, { "n", "number", TABLE_NUMBER } };
	static const struct table t = { NULL, two, 2 };
	static const char json[] = "[{\"t\": \"0123456789012345678901234567890123456789\", \"n\": 12345678}]";
	char got[512];

	(void)state;
	setenv("NO_COLOR", "1", 1);
	print_on_terminal(got, &t, json);
	assert_string_equal(got, "text          number\r\n012345678~  12345678\r\n");
	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
	print_on_terminal(got, &t, json);
	assert_true(strlen(got) > 4 && memcmp(got, "\033[1m", 4) == 0);
}

/* Where cutting texts is not enough, a row is a block of lines; ids are whole. */
static void test_narrow(void **state)
{
	static const struct table_column two[] = { { "t", "text", TABLE_ID }, { "n", "number", TABLE_NUMBER } };
	static const struct table t = { NULL, two, 2 };
	char got[512];

	(void)state;
	setenv("NO_COLOR", "1", 1);
	print_on_terminal(got, &t, "[{\"t\": \"0123456789abcdef\", \"n\": 12345678}, {\"t\": \"x\", \"n\": 1}]");
	assert_string_equal(got, "text    0123456789abcdef\r\nnumber  12345678\r\n\r\ntext    x\r\nnumber  1\r\n");
	unsetenv("NO_COLOR");
}

/* Estimates are cut, never rounded up; CSV has every digit. */
static void test_estimates(void **state)
{
	static const struct table_column two[] = { { "a", "tokens", TABLE_TOKENS_4 }, { "a", "millions", TABLE_MILLIONS } };
	static const struct table t = { NULL, two, 2 };
	static const char json[] = "[{\"a\": \"0\"}, {\"a\": \"99999999999999\"}, {\"a\": \"1999999999999999999999999\"}, {\"a\": \"9999999999999999999999\"},"
		" {\"a\": \"340282366920938463463374607431768211455\"}, {\"a\": \"?\"}, {\"a\": null}]";

	(void)state;
	expect(json, &t, FORMAT_TABLE,
	       "                    tokens             millions\n"
	       "                    0.0000                0.00M\n"
	       "                    0.0000                0.00M\n"
	       "              1999999.9999                1.99M\n"
	       "                 9999.9999                0.00M\n"
	       "340282366920938463463.3746  340282366920938.46M\n"
	       "                         ?                    ?\n"
	       "                         -                    -\n");
	expect("[{\"a\": \"1999999999999999999999999\"}]", &t, FORMAT_CSV, "a,a\n1999999999999999999999999,1999999999999999999999999\n");
}

static void test_names(void **state)
{
	enum output_format format = FORMAT_TEXT;

	(void)state;
	assert_int_equal(output_format_parse(&format, "csv"), 0);
	assert_int_equal(format, FORMAT_CSV);
	assert_int_equal(output_format_parse(&format, "xml"), ERR_NOT_FOUND);
	assert_int_equal(format, FORMAT_CSV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms), cmocka_unit_test(test_any), cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_narrow), cmocka_unit_test(test_estimates), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
