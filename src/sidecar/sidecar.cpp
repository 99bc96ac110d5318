#include "sidecar/sidecar.hpp"

#include <utility>

#include "sidecar/sidecar_parts.hpp"

namespace ferry::sidecar {

daemon::daemon(std::shared_ptr<parts> made) : parts_(std::move(made)) {}
daemon::daemon(daemon&&) noexcept = default;
daemon& daemon::operator=(daemon&& other) noexcept {
  std::swap(parts_, other.parts_);
  return *this;
}
daemon::~daemon() {
  if (parts_) parts_->close();
}

result<daemon> daemon::open(context& where, const settings& with) {
  auto made = std::make_shared<parts>(where, with);
  if (const auto opened = made->open(); !opened) {
    made->close();
    return opened.error();
  }
  return daemon(std::move(made));
}

daemon_counts daemon::stats() const { return parts_->stats(); }
std::vector<pipe_view> daemon::pipes() const { return parts_->pipes(); }
std::size_t daemon::entities() const noexcept { return parts_->entities(); }
bool daemon::is_stopping() const noexcept { return parts_->is_stopping(); }
std::vector<std::string> daemon::change(const settings& with) { return parts_->change(with); }
void daemon::stop(duration within, std::function<void()> done) { parts_->stop(within, std::move(done)); }

}  // namespace ferry::sidecar
