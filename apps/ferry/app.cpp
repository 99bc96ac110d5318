#include "apps/ferry/app.hpp"

#include <unistd.h>

#include <string>

#include "apps/ferry/progress.hpp"

namespace ferry::app {

void say(std::string_view text) noexcept {
  if (auto* const bar = progress::shown()) bar->hide();
  const std::string line = "ferry: " + std::string(text) + "\n";
  // In one piece, so that lines of several processes do not mix. Nobody is left to tell if it fails.
  static_cast<void>(::write(STDERR_FILENO, line.data(), line.size()) < 0);
}

int complain(const error& why) noexcept {
  say(why.text());
  switch (why.reason()) {
    case errc::unknown_scheme:
    case errc::unknown_option:
    case errc::bad_option:
    case errc::bad_url:
    case errc::bad_address:
    case errc::misuse: return k_usage;
    default: return k_failed;
  }
}

}  // namespace ferry::app
