/* wrong FOLDER: what is wrong has its code, and does no harm. */
#include "check.h"
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static mdw_client *const nobody = (mdw_client *)(uintptr_t)0x7f1234567890;

static void dumps(const char *folder)
{
    mdw_dump_options options = {0};
    mdw_dump_report report = {0};
    mdw_annotation annotation = {"\xff", ""};
    char path[MDW_PATH_SIZE];
    pid_t gone;

    snprintf(path, sizeof path, "%s/x.dmp", folder);
    EXPECT(MDW_ERROR_ARGUMENT, mdw_dump_process(1, NULL));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_dump_process(1, ""));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_dump_process(0, path));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_dump_process(-1, path));
    EXPECT(MDW_ERROR_OUTPUT, mdw_dump_process((int32_t)getpid(), "/no/such/folder/x.dmp"));
    EXPECT(MDW_ERROR_OUTPUT, mdw_dump_process((int32_t)getpid(), folder));
    gone = fork();
    if (gone == 0)
        _exit(0);
    waitpid(gone, NULL, 0);
    EXPECT(MDW_ERROR_NO_PROCESS, mdw_dump_process((int32_t)gone, path));

    EXPECT(MDW_ERROR_ARGUMENT, mdw_dump_process_with((int32_t)getpid(), path, &options, NULL));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_dump_process_with((int32_t)getpid(), path, NULL, &report));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_dump_process_with(1, path, (mdw_dump_options *)(uintptr_t)3, NULL));
    options.size = sizeof options;
    options.memory = 3;
    EXPECT(MDW_ERROR_ARGUMENT, mdw_dump_process_with(1, path, &options, NULL));
    options.memory = MDW_MEMORY_STACKS;
    options.format = 2;
    EXPECT(MDW_ERROR_ARGUMENT, mdw_dump_process_with(1, path, &options, NULL));
    options.format = MDW_FORMAT_MINIDUMP;
    options.flags = 1u << 31;
    EXPECT(MDW_ERROR_UNSUPPORTED, mdw_dump_process_with(1, path, &options, NULL));
    options.flags = 0;
    options.annotation_count = 1;
    EXPECT(MDW_ERROR_ARGUMENT, mdw_dump_process_with(1, path, &options, NULL));
    options.annotations = &annotation;
    EXPECT(MDW_ERROR_UTF8, mdw_dump_process_with(1, path, &options, NULL));
    annotation.key = NULL;
    EXPECT(MDW_ERROR_ARGUMENT, mdw_dump_process_with(1, path, &options, NULL));
    if (access(path, F_OK) == 0)
        exit(4);
}

static void starts(const char *folder)
{
    struct {
        mdw_client_options known;
        uint64_t of_the_future;
    } newer;
    mdw_client_options options = {0};
    mdw_annotation annotation = {"", "a key without a letter"};
    mdw_client *client = nobody;
    char path[MDW_PATH_SIZE];

    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_start(folder, NULL, NULL));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_start(NULL, NULL, &client));
    if (client != NULL)
        exit(4);
    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_start("", NULL, &client));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_start(folder, "", &client));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_start_with(NULL, &client));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_start_with(&options, &client));
    options.size = sizeof options - 1;
    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_start_with(&options, &client));
    options.size = sizeof options;
    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_start_with(&options, &client));

    /* A file where the directory should be. */
    snprintf(path, sizeof path, "%s.file", folder);
    fclose(fopen(path, "w"));
    options.dump_dir = path;
    EXPECT(MDW_ERROR_DUMP_DIRECTORY, mdw_client_start_with(&options, &client));
    options.dump_dir = folder;
    options.handler_path = "/no/such/program";
    EXPECT(MDW_ERROR_HANDLER_START, mdw_client_start_with(&options, &client));
    options.handler_path = NULL;
    /* With a dump directory, the handler may come later. */
    options.socket_path = "/no/such/socket";
    options.dump_dir = NULL;
    EXPECT(MDW_ERROR_HANDLER_START, mdw_client_start_with(&options, &client));
    options.dump_dir = folder;
    options.socket_path = NULL;
    options.version = "\xc3";
    EXPECT(MDW_ERROR_UTF8, mdw_client_start_with(&options, &client));
    options.version = NULL;
    options.annotations = &annotation;
    options.annotation_count = 1;
    EXPECT(MDW_ERROR_ANNOTATION, mdw_client_start_with(&options, &client));
    options.annotation_count = 0;
    options.flags = 2;
    EXPECT(MDW_ERROR_UNSUPPORTED, mdw_client_start_with(&options, &client));
    options.flags = 0;

    memset(&newer, 0, sizeof newer);
    newer.known = options;
    newer.known.size = sizeof newer;
    newer.of_the_future = 1;
    EXPECT(MDW_ERROR_UNSUPPORTED, mdw_client_start_with(&newer.known, &client));
    newer.of_the_future = 0;
    EXPECT(MDW_OK, mdw_client_start_with(&newer.known, &client));
    EXPECT(MDW_OK, mdw_client_stop(client));
}

static void clients(const char *folder)
{
    mdw_client *client, *other;
    mdw_heartbeat *heartbeat;
    char text[600], path[8] = "before";
    int32_t pid = -1;
    int count;

    EXPECT(MDW_ERROR_HANDLE, mdw_client_stop(NULL));
    EXPECT(MDW_ERROR_HANDLE, mdw_client_stop(nobody));
    EXPECT(MDW_ERROR_HANDLE, mdw_client_set_annotation(NULL, "a", "b"));
    EXPECT(MDW_ERROR_HANDLE, mdw_heartbeat_start(NULL, 1000, &heartbeat));

    EXPECT(MDW_OK, mdw_client_start(folder, NULL, &client));
    EXPECT(MDW_ERROR_ALREADY_STARTED, mdw_client_start(folder, NULL, &other));
    EXPECT(MDW_ERROR_HANDLE, mdw_client_stop(nobody));
    EXPECT(MDW_ERROR_HANDLE, mdw_client_dump(nobody, NULL, NULL, 0));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_dump(client, NULL, NULL, 1));
    EXPECT(MDW_ERROR_UTF8, mdw_client_dump(client, "\xff", NULL, 0));
    EXPECT(MDW_ERROR_HANDLER_GONE, mdw_client_dump(client, "without a handler", path, sizeof path));
    if (path[0] != '\0')
        exit(4);
    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_handler_pid(client, NULL));
    EXPECT(MDW_OK, mdw_client_handler_pid(client, &pid));
    if (pid != 0)
        exit(4);

    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_set_annotation(client, NULL, "b"));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_set_annotation(client, "a", NULL));
    EXPECT(MDW_ERROR_UTF8, mdw_client_set_annotation(client, "\x80", "b"));
    EXPECT(MDW_ERROR_UTF8, mdw_client_set_annotation(client, "a", "\xed\xa0\x80"));
    EXPECT(MDW_ERROR_ANNOTATION, mdw_client_set_annotation(client, "", "b"));
    memset(text, 'x', sizeof text);
    text[MDW_MAX_VALUE + 1] = '\0';
    EXPECT(MDW_ERROR_ANNOTATION, mdw_client_set_annotation(client, "a", text));
    text[MDW_MAX_VALUE] = '\0';
    EXPECT(MDW_OK, mdw_client_set_annotation(client, "a", text));
    text[MDW_MAX_KEY + 1] = '\0';
    EXPECT(MDW_ERROR_ANNOTATION, mdw_client_set_annotation(client, text, "b"));
    text[MDW_MAX_KEY] = '\0';
    EXPECT(MDW_OK, mdw_client_set_annotation(client, text, "b"));
    for (count = 2; count < MDW_MAX_ANNOTATIONS; count++) {
        snprintf(text, sizeof text, "%d", count);
        EXPECT(MDW_OK, mdw_client_set_annotation(client, text, ""));
    }
    EXPECT(MDW_ERROR_ANNOTATIONS_FULL, mdw_client_set_annotation(client, "one more", ""));
    EXPECT(MDW_OK, mdw_client_remove_annotation(client, "not there"));
    EXPECT(MDW_OK, mdw_client_remove_annotation(client, "2"));
    EXPECT(MDW_OK, mdw_client_set_annotation(client, "one more", ""));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_client_remove_annotation(client, NULL));

    EXPECT(MDW_ERROR_ARGUMENT, mdw_heartbeat_start(client, 1000, NULL));
    EXPECT(MDW_ERROR_ARGUMENT, mdw_heartbeat_start(client, 0, &heartbeat));
    EXPECT(MDW_ERROR_HANDLE, mdw_heartbeat_beat(NULL));
    EXPECT(MDW_ERROR_HANDLE, mdw_heartbeat_pause((mdw_heartbeat *)client));
    EXPECT(MDW_ERROR_HANDLE, mdw_heartbeat_stop(heartbeat));
    EXPECT(MDW_OK, mdw_client_stop(client));
    EXPECT(MDW_ERROR_HANDLE, mdw_client_stop(client));
}

int main(int count, char **arguments)
{
    char folder[MDW_PATH_SIZE];
    if (count != 2 || mdw_last_error_message()[0] != '\0' || mdw_version()[0] == '\0')
        return 2;
    dumps(arguments[1]);
    snprintf(folder, sizeof folder, "%s/dumps", arguments[1]);
    starts(folder);
    clients(folder);
    return 0;
}
