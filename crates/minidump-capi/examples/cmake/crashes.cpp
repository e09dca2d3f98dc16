// crashes DUMP_DIR HANDLER: an order that cannot be shipped, and nobody who expected that.
#include <minidump_writer.h>

#include <cstdio>
#include <stdexcept>
#include <thread>

static void ship_order(int number)
{
    if (number == 3)
        throw std::runtime_error("there is no third order");
    std::printf("order %d is on its way\n", number);
}

int main(int count, char **arguments)
{
    if (count != 3) {
        std::fprintf(stderr, "usage: %s DUMP_DIR HANDLER\n", arguments[0]);
        return 2;
    }
    mdw_client_options options = {};
    options.size = sizeof options;
    options.dump_dir = arguments[1];
    options.handler_path = arguments[2];
    options.version = "1.2.3";
    mdw_client *client = nullptr;
    if (mdw_client_start_with(&options, &client) != MDW_OK) {
        // A program that runs without dumps is better than one that does not run.
        std::fprintf(stderr, "no crash dumps: %s\n", mdw_last_error_message());
    }
    mdw_client_set_annotation(client, "state", "shipping");
    std::thread worker([] {
        for (int number = 1; number <= 3; number++)
            ship_order(number);
    });
    worker.join();
    mdw_client_stop(client);
}
