/* dump FILE: a dump of this very program, which goes on. */
#include <minidump_writer.h>
#include <stdio.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    mdw_dump_report report = {0};
    report.size = sizeof report;
    if (count != 2) {
        fprintf(stderr, "usage: %s FILE\n", arguments[0]);
        return 2;
    }
    if (mdw_dump_process_with((int32_t)getpid(), arguments[1], NULL, &report) != MDW_OK) {
        fprintf(stderr, "%s\n", mdw_last_error_message());
        return 1;
    }
    printf("%llu bytes, stopped for %llu us\n", (unsigned long long)report.bytes,
           (unsigned long long)report.stopped_us);
    return 0;
}
