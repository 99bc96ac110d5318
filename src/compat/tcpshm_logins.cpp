#include "compat/tcpshm_logins.hpp"

#include <array>

#include "net/ring_link.hpp"
#include "os/fd_passing.hpp"
#include "os/socket.hpp"

namespace ferry::compat::tcpshm {
namespace wire = codec::tcpshm;

result<bool> heard_bytes::hear(int fd, std::size_t size, bool with_fd) {
  const std::size_t had = in_.size();
  in_.resize(size);
  const auto room = std::span(in_).subspan(had);
  result<std::size_t> got = std::size_t{0};
  if (with_fd) {
    auto both = os::receive_with_fd(fd, room);
    if (both && both->fd && !passed_) passed_ = std::move(both->fd);
    got = both ? result<std::size_t>(both->size) : result<std::size_t>(both.error());
  } else {
    got = os::receive(fd, room);
  }
  in_.resize(got ? had + *got : had);
  if (!got && got.error() != errc::would_block) return got.error();
  return in_.size() == size;
}

void heard_bytes::clear() noexcept {
  in_.clear();
  passed_.reset();
}

result<void> say_whole(int fd, bytes what, int shared) {
  if (shared >= 0) return os::send_with_fd(fd, what, shared);
  const auto sent = os::send(fd, std::span(&what, 1));
  if (!sent) return sent.error();
  if (*sent != what.size()) return error(errc::network, "the login could not be sent in one piece");
  return {};
}

std::size_t login_bytes(const settings& how) noexcept {
  return how.with.speaks == protocol::ferry ? session::k_login_bytes : wire::login_bytes(how.format);
}

std::size_t answer_bytes(const settings& how) noexcept {
  return how.with.speaks == protocol::ferry ? session::k_login_bytes : wire::answer_bytes(how.format);
}

result<visitor> decode_visitor(heard_bytes& from, bool over_shm, const settings& how) {
  visitor made;
  if (how.with.speaks == protocol::ferry) {
    auto said = session::decode_login(from.all(), false);
    if (!said) return said.error();
    made.name = said->own_name;
    made.use_shm = over_shm;
    const bytes data = as_bytes(said->data);
    made.user_data.assign(data.begin(), data.end());
    made.request.said = std::move(*said);
    made.request.ring = from.take_fd();
    return made;
  }
  auto said = wire::decode_login(from.all(), how.format);
  if (!said) return said.error();
  made.name = said->client_name;
  made.use_shm = said->use_shm;
  made.user_data = std::move(said->user_data);
  made.request.begins = said->last_server_name != how.local_name;
  made.request.remote = said->numbers;
  return made;
}

answer_to_login answer_for(const visitor& to, const settings& how) {
  answer_to_login made;
  made.seed.server_name = how.local_name;
  const auto& said = to.request.said;
  made.own = {session::login_outcome::refused, said.session, said.epoch, {}, how.local_name, said.own_name, {}, false};
  return made;
}

void refuse_with(answer_to_login& answer, const std::string& text) {
  answer.seed.status = wire::login_status::refused;
  answer.seed.error_text = text;
  answer.own.outcome = session::login_outcome::refused;
  answer.own.text = text;
}

std::vector<std::byte> encode(session::login own, bytes user_data) {
  own.data.assign(reinterpret_cast<const char*>(user_data.data()), user_data.size());
  const auto all = session::encode(own);
  return {all.begin(), all.end()};
}

std::vector<std::byte> encode(const answer_to_login& answer, const settings& how) {
  if (how.with.speaks == protocol::tcpshm) return wire::encode(answer.seed, how.format);
  return encode(answer.own, answer.seed.user_data);
}

result<std::string> shm_socket_path(const settings& how, std::uint16_t port, bool create) {
  ferry::options with;
  with.runtime_dir = how.with.runtime_dir;
  return net::ring_socket_path(how.with.shm_endpoint.empty() ? std::to_string(port) : how.with.shm_endpoint, with,
                               create);
}

}  // namespace ferry::compat::tcpshm
