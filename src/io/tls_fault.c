#include "io/tls_fault.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

bool tls_fault_set(struct tls_fault *fault, int error, char *message)
{
    fault->error = error;
    fault->message = message;
    return false;
}

bool tls_fault_name(struct tls_fault *fault, const char *what)
{
    char *message = memory_format("%s %s", what, fault->message);
    free(fault->message);
    fault->message = message;
    return false;
}

const char *tls_reason(void)
{
    unsigned long error = ERR_get_error();
    const char *reason = NULL;
    if (error && ERR_SYSTEM_ERROR(error))
        reason = strerror(ERR_GET_REASON(error));
    else if (error)
        reason = ERR_reason_error_string(error);
    ERR_clear_error();
    return reason ? reason : "unknown reason";
}
