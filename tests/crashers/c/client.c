/* Gives a crasher in C or C++ the client, when the environment says where dumps are to go. */

#include "minidump_writer.h"
#include <stdio.h>
#include <stdlib.h>

__attribute__((constructor)) static void protect(void) {
    const char *dumps = getenv("CRASHER_DUMPS");
    mdw_client *client;
    if (dumps != NULL && mdw_client_start(dumps, getenv("CRASHER_HANDLER"), &client) != MDW_OK) {
        fprintf(stderr, "the client does not start: %s\n", mdw_last_error_message());
        exit(98);
    }
}
