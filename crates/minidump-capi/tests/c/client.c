/* client MODE DUMP_DIR HANDLER: a program with a client, which crashes, hangs or asks for dumps. HANDLER may be "-". */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static mdw_client *client;

/* Never reached; the compiler does not know. */
static volatile int bottom = -1;

static int grow(int depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    if (depth == bottom)
        return 0;
    return grow(depth + 1) + frame[0];
}

static void *overflow(void *unused)
{
    volatile char here = 0;
    (void)unused;
    printf("stack %p\n", (void *)&here);
    fflush(stdout);
    grow(0);
    return NULL;
}

static void *nothing(void *counter)
{
    ++*(int *)counter;
    return NULL;
}

static void in_thread(void *(*work)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, argument) != 0)
        exit(4);
    pthread_join(thread, NULL);
}

static void start(const char *dir, const char *handler)
{
    EXPECT(MDW_OK, mdw_client_start(dir, strcmp(handler, "-") == 0 ? NULL : handler, &client));
}

/* All that can be chosen, then a stack overflow in a thread. */
static void all_options(const char *dir, const char *handler)
{
    static const mdw_annotation annotations[] = {{"channel", "beta"}, {"build", "1234"}};
    static const char *const arguments[] = {"--max-dumps", "7", NULL};
    const char *attachments[] = {NULL, NULL};
    char attachment[MDW_PATH_SIZE];
    mdw_client_options options = {0};
    FILE *file;

    snprintf(attachment, sizeof attachment, "%s.journal", dir);
    file = fopen(attachment, "w");
    if (file == NULL || fputs("the last line\n", file) < 0 || fclose(file) != 0)
        exit(4);
    attachments[0] = attachment;
    options.size = sizeof options;
    options.dump_dir = dir;
    options.handler_path = handler;
    options.version = "7.1";
    options.handler_arguments = arguments;
    options.attachments = attachments;
    options.annotations = annotations;
    options.annotation_count = 2;
    options.patience_ms = 10000;
    EXPECT(MDW_OK, mdw_client_start_with(&options, &client));
    /* What was passed is not kept. */
    memset(attachment, 'x', sizeof attachment - 1);
    EXPECT(MDW_OK, mdw_client_set_annotation(client, "late", "\xc3\xa4"));
    EXPECT(MDW_OK, mdw_client_remove_annotation(client, "build"));
    in_thread(overflow, NULL);
}

static void on_signal(int number)
{
    (void)number;
    EXPECT(MDW_OK, mdw_client_set_annotation(client, "from", "a signal handler"));
}

static void ask_for_dump(const char *reason)
{
    char path[MDW_PATH_SIZE];
    EXPECT(MDW_OK, mdw_client_dump(client, reason, path, sizeof path));
    printf("dump %s\n", path);
}

/* Dumps without a crash, by two clients, one after the other. */
static void two_lives(const char *dir, const char *handler)
{
    mdw_client *first;
    int32_t pid = -1;
    int count = 0;

    start(dir, handler);
    first = client;
    in_thread(nothing, &count);
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    ask_for_dump("the first");
    EXPECT(MDW_OK, mdw_client_handler_pid(client, &pid));
    printf("handler %d\n", (int)pid);
    EXPECT(MDW_OK, mdw_client_stop(client));
    EXPECT(MDW_ERROR_HANDLE, mdw_client_stop(first));
    EXPECT(MDW_ERROR_HANDLE, mdw_client_dump(first, "after the end", NULL, 0));
    in_thread(nothing, &count);
    start(dir, handler);
    EXPECT(MDW_ERROR_HANDLE, mdw_client_set_annotation(first, "of", "the first"));
    ask_for_dump("the second");
    EXPECT(MDW_OK, mdw_client_dump(client, NULL, NULL, 0));
    EXPECT(MDW_OK, mdw_client_stop(client));
    in_thread(nothing, &count);
    printf("threads %d\n", count);
}

/* A heartbeat that is kept up, paused, and then not kept up. Ends when its standard input does. */
static void hang(const char *dir, const char *handler)
{
    mdw_heartbeat *kept, *lost;
    char byte;

    start(dir, handler);
    EXPECT(MDW_OK, mdw_heartbeat_start(client, 3600 * 1000, &kept));
    EXPECT(MDW_OK, mdw_heartbeat_beat(kept));
    EXPECT(MDW_OK, mdw_heartbeat_pause(kept));
    EXPECT(MDW_OK, mdw_heartbeat_start(client, 50, &lost));
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    EXPECT(MDW_OK, mdw_heartbeat_stop(lost));
    EXPECT(MDW_ERROR_HANDLE, mdw_heartbeat_beat(lost));
    EXPECT(MDW_OK, mdw_client_stop(client));
    EXPECT(MDW_ERROR_HANDLE, mdw_heartbeat_beat(kept));
}

static void *annotate(void *key)
{
    int round;
    for (round = 0; round < 200; round++) {
        EXPECT(MDW_OK, mdw_client_set_annotation(client, (const char *)key, "all"));
        if (round == 100)
            EXPECT(MDW_OK, mdw_client_dump(client, (const char *)key, NULL, 0));
    }
    return NULL;
}

/* Several threads annotate and ask for dumps at once; one more tries to start another client. */
static void at_once(const char *dir, const char *handler)
{
    static char keys[4][2] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    mdw_client *other = (mdw_client *)&other;
    int index;

    start(dir, handler);
    for (index = 0; index < 4; index++)
        if (pthread_create(&threads[index], NULL, annotate, keys[index]) != 0)
            exit(4);
    EXPECT(MDW_ERROR_ALREADY_STARTED, mdw_client_start(dir, NULL, &other));
    if (other != NULL)
        exit(4);
    for (index = 0; index < 4; index++)
        pthread_join(threads[index], NULL);
    ask_for_dump("the last");
    EXPECT(MDW_OK, mdw_client_stop(client));
}

static volatile sig_atomic_t looked;

/* Deals with the first signal only. */
static int look(int number, const void *info, const void *context)
{
    if (number != SIGILL || info == NULL || context == NULL)
        _exit(5);
    return looked++ == 0;
}

static void first_chance(const char *dir, const char *handler)
{
    mdw_client_options options = {0};
    options.size = sizeof options;
    options.dump_dir = dir;
    options.handler_path = handler;
    options.first_chance = look;
    options.flags = MDW_CLIENT_LEAVE_PRESENT_THREADS;
    EXPECT(MDW_OK, mdw_client_start_with(&options, &client));
    raise(SIGILL);
    printf("looked %d\n", (int)looked);
    fflush(stdout);
    raise(SIGILL);
}

static void abort_now(const char *dir, const char *handler)
{
    start(dir, handler);
    EXPECT(MDW_OK, mdw_client_set_annotation(client, "state", "about to abort"));
    abort();
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void (*run)(const char *dir, const char *handler);
    } modes[] = {
        {"all-options", all_options}, {"two-lives", two_lives},       {"hang", hang},
        {"at-once", at_once},         {"first-chance", first_chance}, {"abort", abort_now},
    };
    size_t index;

    for (index = 0; count == 4 && index < sizeof modes / sizeof modes[0]; index++)
        if (strcmp(modes[index].name, arguments[1]) == 0) {
            modes[index].run(arguments[2], arguments[3]);
            return 0;
        }
    return 2;
}
