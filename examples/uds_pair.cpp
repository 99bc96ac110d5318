// One message over a Unix socket, in the shape and the bytes of uds-ipc: a reader and a writer in one program.
//
//   uds_pair /tmp/myapp/myapp.sock
#include <ferry/compat/uds.hpp>
#include <ferry/runner.hpp>

#include <iostream>

namespace {

int run(const std::string& path) {
  const auto print = [](ferry::bytes message) -> ferry::result<void> {
    std::cout << ferry::as_text(message) << std::endl;  // valid during the call only
    return {};
  };

  ferry::runner runner;  // one thread; or give a ferry::context, and turn its io_context yourself
  ferry::uds_reader reader(runner, print, path);
  reader.start().value();  // listens when it returns

  ferry::uds_writer writer(runner, path);
  writer.start();
  if (auto queued = writer.write_message("Hello"); !queued) std::cerr << queued.error().text() << '\n';
  const auto sent = writer.stop(std::chrono::seconds(5));     // sends what is queued first
  const auto handled = reader.stop(std::chrono::seconds(5));  // handles what has come first
  return sent.clean() && handled.bytes_unread == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 2) return run(argv[1]);
  std::cerr << "usage: uds_pair PATH\n";
  return 2;
} catch (const std::exception& why) {
  std::cerr << why.what() << '\n';
  return 1;
}
