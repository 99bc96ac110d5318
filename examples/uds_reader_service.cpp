// A service that prints the messages it receives, one on each line. It runs under systemd, started by the first
// connection (uds_reader.socket and uds_reader.service beside this file), and the same by hand:
//
//   example_uds_reader_service /tmp/app/app.sock
#include <ferry/compat/uds.hpp>
#include <ferry/runner.hpp>
#include <ferry/systemd.hpp>

#include <csignal>
#include <cstdio>
#include <exception>

int main(int argc, char** argv) try {
  // Both before the first thread: the signals are for sigwait() alone, and the environment is changed only here.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  const auto systemd = ferry::systemd::service::from_environment().value();

  const auto print = [](ferry::bytes message) -> ferry::result<void> {
    const auto text = ferry::as_text(message);
    std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
    std::fflush(stdout);
    return {};
  };
  ferry::uds_reader_options with;
  with.manager = systemd;
  with.on_error = [](const ferry::error& what, std::string_view where) {
    std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(where.size()), where.data(), what.text().c_str());
  };

  ferry::runner runner;
  ferry::uds_reader reader(runner, print, argc > 1 ? argv[1] : "/tmp/app/app.sock", with);
  reader.start().value();
  systemd->status("receiving on " + reader.path());

  int signal = 0;
  sigwait(&ending, &signal);
  const auto end = reader.stop(std::chrono::seconds(5));
  systemd->status("received " + std::to_string(reader.metrics().received) + " messages, " +
                  std::to_string(end.bytes_unread) + " bytes left unread");
  return end.bytes_unread == 0 ? 0 : 1;
} catch (const std::exception& why) {
  std::fprintf(stderr, "%s\n", why.what());
  return 1;
}
