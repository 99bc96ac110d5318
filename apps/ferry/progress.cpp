#include "apps/ferry/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "bench/table.hpp"

namespace ferry::app {
namespace {

constexpr auto k_between = std::chrono::milliseconds(100);
constexpr std::size_t k_width = 24;

progress* on_terminal = nullptr;

void put(const std::string& text) noexcept { static_cast<void>(::write(STDERR_FILENO, text.data(), text.size()) < 0); }

std::string amount(std::uint64_t number, const std::string& unit) {
  if (unit != "B") return std::to_string(number) + " " + unit;
  return bench::fixed(static_cast<double>(number) / 1e6, 1) + " MB";
}

}  // namespace

progress::progress(std::string title, std::uint64_t total, std::string unit, std::chrono::milliseconds after)
    : title_(std::move(title)),
      total_(total),
      unit_(std::move(unit)),
      terminal_(::isatty(STDERR_FILENO) == 1),
      begin_(clock::now()),
      next_(begin_ + after) {}

progress::~progress() { hide(); }

progress* progress::shown() noexcept { return on_terminal; }

void progress::update(std::uint64_t done) noexcept {
  if (!terminal_) return;
  const auto now = clock::now();
  if (now >= next_) draw(done, now);
}

void progress::hide() noexcept {
  if (on_terminal != this) return;
  on_terminal = nullptr;
  put("\r\033[K");
}

void progress::draw(std::uint64_t done, clock::time_point now) noexcept {
  next_ = now + k_between;
  on_terminal = this;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double rate = static_cast<double>(done) / seconds;
  std::string line = "\r\033[K" + title_ + " ";
  if (total_ != 0) {
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    const auto filled = static_cast<std::size_t>(share * k_width);
    line += "[" + std::string(filled, '#') + std::string(k_width - filled, '.') + "] " + bench::fixed(share * 100, 0) +
            " %  " + amount(done, unit_) + " of " + amount(total_, unit_);
  } else {
    line += amount(done, unit_);
  }
  if (unit_ != "s") line += "  " + (unit_ == "B" ? bench::bytes_rate_text(rate) : bench::rate_text(rate));
  put(line);
}

}  // namespace ferry::app
