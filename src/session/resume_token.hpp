#pragma once
/// How a connection becomes the first or the next one of a resumable stream by a token: the kind for connections that
/// are secret and have proved who the server is (TLS 1.3). Machines without sockets. Source: docs/gateway.md. All
/// integers are little endian.
///
///     new    ->  "FERRYRS1", 0, 7 zeros
///            <-  0, 7 zeros, token (16)
///     again  ->  "FERRYRS1", 1, 7 zeros, token (16), written (8), received (8)
///            <-  0, 7 zeros, written (8), received (8)      refused: 1 or 2, 23 zeros
///     over   ->  "FERRYRS1", 2, 7 zeros, token (16), 16 zeros
///            <-  0, 23 zeros
///
/// Numbers count the stream's bytes since it began. 1: the token is of no stream, or of none any more; 2: the numbers
/// cannot be, or more is missing than the history holds.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <array>
#include <cstdint>
#include <memory>

#include "session/snet_handshake.hpp"

namespace ferry::session {

/// 128 random bits: a stream's id and its key, 8 bytes each.
struct resume_token {
  std::uint64_t id = 0;
  codec::snet::shared_key key{};
  friend bool operator==(const resume_token&, const resume_token&) = default;
};

/// What a client says first.
struct resume_opening {
  static constexpr std::size_t k_most_bytes = 48;
  enum class wish : std::uint8_t { fresh = 0, again = 1, over = 2 };
  std::size_t consumed = 0;  ///< 0: more bytes are wanted
  wish what = wish::fresh;
  resume_token token;
  codec::snet::counts has;
};
[[nodiscard]] std::array<std::byte, resume_opening::k_most_bytes> encode(const resume_opening& what,
                                                                         std::size_t& size) noexcept;
/// @return protocol: no such opening
[[nodiscard]] result<resume_opening> decode_resume_opening(bytes in);

/// What the server answers.
struct resume_answer {
  static constexpr std::size_t k_bytes = 24;
  enum class status : std::uint8_t { good = 0, unknown = 1, impossible = 2 };
  status is = status::good;
  resume_token token;       ///< of a new stream
  codec::snet::counts has;  ///< of one that goes on
};
/// @param in  k_bytes at least @return protocol: a status that nobody knows
[[nodiscard]] result<resume_answer> decode_resume_answer(bytes in, bool fresh);

/// The server's side of one connection; used as snet_accepting is.
class token_accepting {
 public:
  /// @param fresh  from the system's generator, for a new stream; an id that is in use must not be given
  token_accepting(const snet_options& options, const resume_token& fresh, snet_streams& streams) noexcept
      : options_(options), fresh_(fresh), streams_(streams) {
    options_.encrypt = false;
  }
  /// @return protocol, auth: the token is of no stream; truncated. Then farewell() is sent, and the connection closed.
  [[nodiscard]] result<snet_step> on_bytes(bytes in);
  [[nodiscard]] codec::snet::message farewell() const noexcept;
  [[nodiscard]] std::unique_ptr<snet_stream> take() noexcept { return std::move(made_); }
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] const snet_stream::replay& replay() const noexcept { return replay_; }
  /// After `done`: the client says that the stream is over.
  [[nodiscard]] bool is_over() const noexcept { return over_; }

 private:
  snet_options options_;
  resume_token fresh_;
  snet_streams& streams_;
  std::uint64_t id_ = 0;
  bool over_ = false;
  resume_answer::status refused_ = resume_answer::status::good;
  std::unique_ptr<snet_stream> made_;
  snet_stream::replay replay_;
};

/// The client's side of one connection; used as snet_connecting is.
class token_connecting {
 public:
  /// A new stream.
  explicit token_connecting(const snet_options& options) noexcept : options_(options) { options_.encrypt = false; }
  /// Another connection for `stream`, which must outlive this, and whose last connection is closed.
  token_connecting(const snet_options& options, snet_stream& stream) noexcept
      : token_connecting(options, stream, resume_opening::wish::again) {}

  /// What to send first.
  [[nodiscard]] codec::snet::message begin() const noexcept;
  /// @return refused: the server does not know the stream any more | protocol: an answer that is none, or counts that
  /// cannot be | truncated: as of snet_stream::resume(). After an error the stream is dead.
  [[nodiscard]] result<snet_step> on_bytes(bytes in);
  /// After `done`, of a new stream: it.
  [[nodiscard]] std::unique_ptr<snet_stream> take() noexcept { return std::move(made_); }
  /// After `done`, of another connection: what the peer has not got, as of now.
  [[nodiscard]] const snet_stream::replay& replay() const noexcept { return replay_; }

 private:
  token_connecting(const snet_options& options, snet_stream& stream, resume_opening::wish what) noexcept
      : options_(options), stream_(&stream), asked_{0, what, {stream.id(), stream.key()}, stream.counts()} {}

  snet_options options_;
  snet_stream* stream_ = nullptr;
  resume_opening asked_;
  std::unique_ptr<snet_stream> made_;
  snet_stream::replay replay_;
};

}  // namespace ferry::session
