/* What the C programs of the tests share. */
#ifndef CHECK_H
#define CHECK_H

#include <minidump_writer.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program unless the call returns this code; on an error its message has to say something. */
#define EXPECT(code, call) expect((code), (call), #call, __LINE__)

static void expect(int code, int got, const char *call, int line)
{
    const char *message = mdw_last_error_message();
    if (got == code && (code == MDW_OK || message[0] != '\0'))
        return;
    fprintf(stderr, "line %d: %s returned %d, not %d: %s\n", line, call, got, code, message);
    exit(3);
}

#endif
