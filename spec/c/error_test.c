/* Every error has a name and words. */
#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "check.h"

static void test_errors(void)
{
    CHECK(strcmp(error_code(ECONNREFUSED), "ECONNREFUSED") == 0);
    CHECK(strcmp(error_text(ECONNREFUSED), "Connection refused") == 0);
    CHECK(strcmp(error_code(ERROR_EOF), "EOF") == 0);
    CHECK(strcmp(error_code(ERROR_CLOSED), "ECLOSED") == 0);
    CHECK(strcmp(error_code(ERROR_TLS), "ETLS") == 0);
    CHECK(strcmp(error_code(ERROR_TRUNCATED), "ETRUNCATED") == 0);
    CHECK(strcmp(error_code(ERROR_TASK), "ETASK") == 0);
    CHECK(strcmp(error_code(ERROR_RESOLVE - 4), "ENOTFOUND") == 0);
    CHECK(strcmp(error_code(ERROR_RESOLVE - 11), "ECONNREFUSED") == 0);
    CHECK(strcmp(error_code(ERROR_RESOLVE - 12), "ETIMEDOUT") == 0);
    CHECK(strcmp(error_code(ERROR_RESOLVE - 13), "EBADRESP") == 0);
    CHECK(strcmp(error_code(ERROR_RESOLVE - 24), "ECANCELED") == 0);
    CHECK(strcmp(error_code(100000), "E100000") == 0);
    for (int error = -200; error < 0; error++) {
        CHECK(error_code(error)[0] == 'E');
        CHECK(error_text(error)[0] != '\0');
    }
}

int main(void)
{
    test_errors();
    return failures > 0;
}
