#include "sidecar/shared_bodies.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "os/random.hpp"
#include "sidecar/body_finder.hpp"

namespace ferry::sidecar {
namespace {

std::string path_in(const std::string& directory) { return directory + "/" + k_bodies_file; }

}  // namespace

shared_bodies::shared_bodies(std::string path, os::private_file file, std::uint64_t generation)
    : path_(std::move(path)),
      file_(std::move(file)),
      store_(file_.span().subspan(ring::k_bodies_head_bytes), generation, os::random_u64()) {}

result<std::unique_ptr<shared_bodies>> shared_bodies::go_on(const std::string& directory, std::uint32_t service,
                                                            std::uint64_t size, const os::file_users& who) {
  const auto path = path_in(directory);
  auto file = os::map_private_file(path, ring::k_bodies_head_bytes + size, who);
  if (!file) return file.error();
  const auto said = ring::read_bodies_header(file->span());
  if (!said) return said.error().in(path);
  if (said->service != service || said->generation == 0 || file->guard->torn())
    return error(errc::corrupt, path + " is of service " + std::to_string(said->service) + ", or was cut off");
  return std::unique_ptr<shared_bodies>(new shared_bodies(path, std::move(*file), said->generation));
}

result<std::unique_ptr<shared_bodies>> shared_bodies::make(const std::string& directory, std::uint32_t service,
                                                           std::uint64_t size, const os::file_users& who) {
  const auto path = path_in(directory);
  const auto generation = os::random_u64() | 1;
  auto file = os::replace_private_file(path, ring::k_bodies_head_bytes + size, who, [&](std::span<std::byte> memory) {
    ring::format_bodies(memory, generation, service);
  });
  if (!file) return file.error();
  return std::unique_ptr<shared_bodies>(new shared_bodies(path, std::move(*file), generation));
}

bool shared_bodies::is_shown_in(const std::string& directory) const {
  return os::id_at(path_in(directory)) == file_.id;
}

result<void> shared_bodies::show_in(const std::string& directory) const {
  if (is_shown_in(directory)) return {};
  const auto path = path_in(directory);
  const auto unnamed = path + ".new";
  (void)::unlink(unnamed.c_str());  // of one who died here
  if (::link(path_.c_str(), unnamed.c_str()) != 0) return error::from_errno(errno, "link " + path_ + " to " + path);
  const bool is_ours = os::id_at(unnamed) == file_.id;
  if (is_ours && ::rename(unnamed.c_str(), path.c_str()) == 0) return {};
  const int why = errno;
  (void)::unlink(unnamed.c_str());
  if (is_ours) return error::from_errno(why, "put " + path + " in place");
  return error(errc::not_found, path_ + " is another file now");
}

void shared_bodies::announce(std::uint64_t message) noexcept {
  if (message_ != message) {
    message_ = message;
    receivers_ = 0;
    is_placed_ = false;
  }
  ++receivers_;
}

const std::optional<ring::body_reference>& shared_bodies::place(bytes body) noexcept {
  if (is_placed_) return placed_;
  is_placed_ = true;
  placed_ = is_torn() ? std::nullopt : store_.put(body);
  if (is_torn()) placed_.reset();  // it was cut off under us
  if (placed_) ++bodies_;
  return placed_;
}

}  // namespace ferry::sidecar
