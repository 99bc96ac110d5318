#include "os/listen_fds.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace ferry::os {
namespace {

// NOLINTBEGIN(concurrency-mt-unsafe): before the first thread, says the contract
std::string taken_variable(const char* name) {
  const char* const value = std::getenv(name);
  std::string made = value == nullptr ? "" : value;
  ::unsetenv(name);
  return made;
}
// NOLINTEND(concurrency-mt-unsafe)

}  // namespace

result<std::vector<given_socket>> take_listen_fds() {
  const auto count = taken_variable("LISTEN_FDS");
  const auto pid = taken_variable("LISTEN_PID");
  const auto names = taken_variable("LISTEN_FDNAMES");
  const auto ours = std::to_string(::getpid());
  std::vector<given_socket> made;
  if (count.empty()) return made;
  if (!pid.empty() && pid != ours)
    return error(errc::misuse, "LISTEN_PID is " + pid + ", but this process is " + ours + ": the socket is another's");
  int given = 0;
  const auto [end, failed] = std::from_chars(count.data(), count.data() + count.size(), given);
  if (failed != std::errc{} || end != count.data() + count.size() || given < 1 || given > k_most_given)
    return error(errc::misuse,
                 "LISTEN_FDS is " + count + ": a number of 1 to " + std::to_string(k_most_given) + " is wanted");
  std::string_view rest = names;
  for (int i = 0; i < given; ++i) {
    const auto colon = std::min(rest.size(), rest.find(':'));
    auto& one = made.emplace_back(given_socket{unique_fd(k_first_given + i), std::string(rest.substr(0, colon))});
    rest.remove_prefix(std::min(rest.size(), colon + 1));
    (void)::fcntl(one.fd.get(), F_SETFD, FD_CLOEXEC);  // what is not open is found by whoever uses it
  }
  return made;
}

}  // namespace ferry::os
