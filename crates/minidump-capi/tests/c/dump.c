/* dump PID PATH: dumps that process to PATH, then this one to PATH.own and, as a core file, to PATH.core. */
#include "check.h"
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    static const mdw_annotation annotations[] = {{"asked", "by C"}};
    mdw_dump_options options = {0};
    mdw_dump_report report;
    char path[MDW_PATH_SIZE];
    int32_t pid;

    if (count != 3)
        return 2;
    pid = (int32_t)strtol(arguments[1], NULL, 10);
    memset(&report, 0xff, sizeof report);
    report.size = sizeof report;
    options.size = sizeof options;
    options.thread = (uint32_t)pid;
    options.memory = MDW_MEMORY_INDIRECT;
    options.flags = MDW_DUMP_SANITIZE;
    options.annotations = annotations;
    options.annotation_count = 1;
    EXPECT(MDW_OK, mdw_dump_process_with(pid, arguments[2], &options, &report));
    printf("bytes %llu\nthreads %u\nmodules %u\nreserved %u\n", (unsigned long long)report.bytes, report.threads,
           report.modules, report.reserved);
    if (report.stopped_us == 0 || report.stopped_us > report.wall_us)
        return 4;

    snprintf(path, sizeof path, "%s.own", arguments[2]);
    EXPECT(MDW_OK, mdw_dump_process((int32_t)getpid(), path));

    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.format = MDW_FORMAT_ELF_CORE;
    snprintf(path, sizeof path, "%s.core", arguments[2]);
    EXPECT(MDW_OK, mdw_dump_process_with(pid, path, &options, NULL));
    return 0;
}
