#include "sidecar/body_finder.hpp"

#include "os/file_id.hpp"
#include "os/mapping.hpp"

namespace ferry::sidecar {

result<void> body_finder::open() {
  if (file_) return {};
  const auto file = os::open_shared_file(path_, false);
  if (!file) return file.error();
  const auto size = os::file_size(file->get(), path_);
  if (!size) return size.error();
  if (*size < ring::k_bodies_head_bytes)
    return error(errc::corrupt, path_ + " has only " + std::to_string(*size) + " bytes");
  auto mapped = os::private_file::of(file->get(), *size, false);
  if (!mapped) return mapped.error().in(path_);
  const auto said = ring::read_bodies_header(mapped->span());
  if (!said) return said.error().in(path_);
  generation_ = said->generation;
  file_ = std::move(*mapped);
  return {};
}

bytes body_finder::body_at(const ring::body_reference& which) const noexcept {
  const auto body = ring::find_body(bytes(file_->span()).subspan(ring::k_bodies_head_bytes), which);
  return file_->guard->torn() ? bytes() : body;
}

result<bytes> body_finder::look_for(const ring::body_reference& which) {
  // What was cut off stays so here, whatever becomes of the file.
  if (file_ && (file_->guard->torn() || generation_ != which.generation)) file_.reset();
  if (const auto opened = open(); !opened) return opened.error();
  if (generation_ != which.generation)
    return error(errc::corrupt, path_ + " is another one than that in which the body of a message lay: it is lost");
  const auto body = body_at(which);
  if (body.data() == nullptr)
    return error(errc::corrupt, "the body of a message, " + std::to_string(which.length) + " bytes, does not lie at " +
                                    std::to_string(which.offset) + " of " + path_ + " any more: it is lost");
  return body;
}

result<bytes> body_finder::find(bytes reference) {
  found_ = {};
  auto found = [&]() -> result<bytes> {
    if (reference.size() != ring::k_body_reference_bytes)
      return error(errc::corrupt, "a reference to a body of " + std::to_string(reference.size()) + " bytes");
    found_ = ring::load_body_reference(reference.data());
    return look_for(found_);
  }();
  if (!found) {
    ++lost_;
    found_ = {};
  }
  return found;
}

bool body_finder::is_found_still() noexcept {
  if (body_at(std::exchange(found_, {})).data() != nullptr) return true;
  ++lost_;
  return false;
}

}  // namespace ferry::sidecar
