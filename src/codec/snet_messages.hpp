#pragma once
/// What a resumable stream of the compatible kind begins with, in both forms, which do not understand each other.
/// Source: docs/gateway.md. All integers are little endian.
///
///                  newer                                          older
///     new      ->  00, public key                                 8 zeros, public key, 24 zeros
///              <-  public key, enciphered id, challenge           public key, enciphered id
///              ->  MD5(challenge, key)
///     again    ->  FF, id, written, received, MD5(these 24, key)  the same without FF
///              <-  written, received, challenge; refused: zeros   written, received; refused: the end
///              ->  MD5(challenge, key)

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <array>
#include <cstdint>

#include "codec/snet_cipher.hpp"

namespace ferry::codec::snet {

enum class form : std::uint8_t { newer, older };

using digest = std::array<std::byte, 16>;

/// Bytes of a stream, since it began, that one side wrote and received.
struct counts {
  std::uint64_t written = 0;
  std::uint64_t received = 0;
  friend bool operator==(const counts&, const counts&) = default;
};

/// A client's first bytes.
struct opening {
  std::size_t consumed = 0;  ///< 0: more bytes are wanted
  bool again = false;        ///< it had a connection before: id, has and proof; else public_key
  std::uint64_t public_key = 0;
  std::uint64_t id = 0;
  counts has;
  digest proof{};
};

/// A message that fits into this many bytes, whichever it is; those of resume_token.hpp too.
struct message {
  std::array<std::byte, 48> data{};
  std::size_t size = 0;
  [[nodiscard]] bytes view() const noexcept { return bytes(data).first(size); }
};

/// Reads nothing outside of `in`. @return protocol: a first byte that means nothing (newer), or bytes that must be zero
/// (older)
[[nodiscard]] result<opening> decode_opening(bytes in, form as);
[[nodiscard]] message encode_new(std::uint64_t public_key, form as) noexcept;
[[nodiscard]] message encode_again(std::uint64_t id, const counts& has, const shared_key& key, form as) noexcept;
/// What the proof of an opening must be.
[[nodiscard]] digest opening_proof(std::uint64_t id, const counts& has, const shared_key& key) noexcept;

[[nodiscard]] constexpr std::size_t answer_bytes(form as) noexcept { return as == form::newer ? 24 : 16; }

/// A server's answer to either: two numbers, in the newer form a third one.
struct answer {
  std::uint64_t first = 0;   ///< its public key | what it wrote
  std::uint64_t second = 0;  ///< the id, still enciphered | what it received
  std::uint64_t challenge = 0;
  /// Of a client that comes again; the older form refuses by closing.
  [[nodiscard]] bool is_refusal() const noexcept { return first == 0 && second == 0 && challenge == 0; }
};
[[nodiscard]] message encode(const answer& what, form as) noexcept;
/// @param in  answer_bytes() at least
[[nodiscard]] answer decode_answer(bytes in, form as) noexcept;

inline constexpr std::size_t k_proof_bytes = 16;
/// MD5(challenge, key).
[[nodiscard]] digest challenge_proof(std::uint64_t challenge, const shared_key& key) noexcept;

}  // namespace ferry::codec::snet
