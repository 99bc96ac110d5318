#pragma once
/// What is said before the messages, in either protocol, and how it goes over a socket that does not block.

#include <ferry/error.hpp>

#include <cstddef>
#include <string>
#include <vector>

#include "compat/tcpshm_link.hpp"
#include "os/unique_fd.hpp"

namespace ferry::compat::tcpshm {

/// Who logs in at a server.
struct visitor {
  std::string name;
  bool use_shm = false;
  std::vector<std::byte> user_data;
  join_request request;
};

/// What a server answers: one of the two.
struct answer_to_login {
  codec::tcpshm::login_answer seed;  ///< of protocol::tcpshm; its user data of both
  session::login own;                ///< of protocol::ferry
};

/// Bytes that come, of a login or of an answer.
class heard_bytes {
 public:
  /// Receives what is missing. @param size  of the whole @param with_fd  a descriptor may come along
  /// @return whether it is whole | end_of_stream ...
  [[nodiscard]] result<bool> hear(int fd, std::size_t size, bool with_fd);
  [[nodiscard]] bytes all() const noexcept { return in_; }
  [[nodiscard]] os::unique_fd take_fd() noexcept { return std::move(passed_); }
  void clear() noexcept;

 private:
  std::vector<std::byte> in_;
  os::unique_fd passed_;
};

/// All of it at once, as it fits into any socket's buffer. @param shared  goes along; -1: nothing
/// @return network: it did not go in one piece ...
[[nodiscard]] result<void> say_whole(int fd, bytes what, int shared);

[[nodiscard]] std::size_t login_bytes(const settings& how) noexcept;
[[nodiscard]] std::size_t answer_bytes(const settings& how) noexcept;
/// @param over_shm  it came to the shared-memory endpoint @return protocol, unsupported; of tcpshm's the name may have
/// any bytes
[[nodiscard]] result<visitor> decode_visitor(heard_bytes& from, bool over_shm, const settings& how);

/// What a server begins an answer with.
[[nodiscard]] answer_to_login answer_for(const visitor& to, const settings& how);
/// What is said of a refusal; may be cut.
void refuse_with(answer_to_login& answer, const std::string& text);
/// Of protocol::ferry. @param user_data  goes along, where `own` is no refusal
[[nodiscard]] std::vector<std::byte> encode(session::login own, bytes user_data);
[[nodiscard]] std::vector<std::byte> encode(const answer_to_login& answer, const settings& how);

/// The endpoint in shared memory that belongs to a port. @return its socket's path | bad_address ...
[[nodiscard]] result<std::string> shm_socket_path(const settings& how, std::uint16_t port, bool create);

}  // namespace ferry::compat::tcpshm
