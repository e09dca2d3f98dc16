// client DUMP_DIR HANDLER: an exception that nobody catches, in a thread.
#include <minidump_writer.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

class Client {
public:
    Client(const std::string &dir, const std::string &handler)
    {
        mdw_client_options options = {};
        options.size = sizeof options;
        options.dump_dir = dir.c_str();
        options.handler_path = handler.c_str();
        if (mdw_client_start_with(&options, &client_) != MDW_OK)
            throw std::runtime_error(mdw_last_error_message());
    }
    ~Client() { mdw_client_stop(client_); }
    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;

    bool annotate(const std::string &key, const std::string &value)
    {
        return mdw_client_set_annotation(client_, key.c_str(), value.c_str()) == MDW_OK;
    }

private:
    mdw_client *client_ = nullptr;
};

} // namespace

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    Client client(arguments[1], arguments[2]);
    // Exceptions that are caught are nobody's business.
    try {
        throw std::runtime_error("caught");
    } catch (const std::runtime_error &error) {
        if (!client.annotate("language", "C++"))
            return 3;
    }
    std::thread thread([] { throw std::logic_error("nobody catches it"); });
    thread.join();
}
