#pragma once
/// Where the members of a gateway arrive: one door for each URL.

#include <ferry/context.hpp>
#include <ferry/stream.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/client_check.hpp"
#include "gateway/resumable.hpp"
#include "gateway/settings.hpp"
#include "session/virtual_connections.hpp"

namespace ferry::gateway {

/// The words of a text that has several, with blanks between them.
[[nodiscard]] std::vector<std::string> words_of(std::string_view text);

/// What `options` of a side says. @return unknown_option | bad_option
[[nodiscard]] result<options> options_of(const side_settings& side);

/// Who is told of those who arrive.
class door_owner : public client_gate {
 public:
  /// A client that others were asked about has got through the gate.
  virtual void came(session::gateway_role role, std::shared_ptr<stream> who) = 0;
  /// Somebody could not come in, or nobody can for a while; at most once a second. @param others  how many there were
  /// since the last time
  virtual void not_come(const std::string& url, const error& why, std::uint64_t others) = 0;

 protected:
  ~door_owner() = default;
};

class doors {
 public:
  doors(context& where, door_owner& owner);
  ~doors();
  doors(const doors&) = delete;
  doors& operator=(const doors&) = delete;

  /// Listens at each URL of that side.
  /// @param beside  the doors of the first of several threads, which have bound the ports: this thread listens at those
  /// that several can share. Null: these are the first @return as of stream_transport::listen and listener::open |
  /// unsupported: a gateway does not listen on that transport, or not so | bad_option
  [[nodiscard]] result<void> open(session::gateway_role role, const side_settings& side, const settings& all,
                                  const doors* beside = nullptr);
  /// Whether open() could listen at every URL of that side, as far as that shows without listening: reads files of TLS.
  /// @return as open(); the text begins with the name of the parameter
  [[nodiscard]] static result<void> check(const context& where, session::gateway_role role, const side_settings& side,
                                          const settings& all);
  /// Nobody arrives any more.
  void close() noexcept;
  /// As they were bound, in the order of the settings.
  [[nodiscard]] std::vector<std::string> urls(session::gateway_role role) const;
  [[nodiscard]] const resume_counts& resumed() const noexcept { return *resumed_; }

 private:
  struct door;
  // What one URL comes to.
  struct place;
  [[nodiscard]] static result<place> find(const context& where, session::gateway_role role, const std::string& url,
                                          const side_settings& side, const settings& all);
  [[nodiscard]] result<void> add(session::gateway_role role, const place& where, const side_settings& side,
                                 const settings& all);
  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(session::gateway_role role, const place& where,
                                                         const side_settings& side, const settings& all);
  [[nodiscard]] std::uint16_t port_of(session::gateway_role role, std::size_t index) const;
  void not_come(door& at, const error& why);

  context& where_;
  door_owner& owner_;
  std::vector<std::unique_ptr<door>> all_;
  std::shared_ptr<resume_counts> resumed_ = std::make_shared<resume_counts>();
};

}  // namespace ferry::gateway
