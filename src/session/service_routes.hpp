#pragma once
/// The routes of a sidecar, without its rings: which entity has which service, which of its instances gets what is for
/// it, and to whom a message goes. Source: docs/sidecar.md.
///
/// An entity is of one service, which may have several. It has pipes, and on each of them at most one instance, a
/// process; one of the instances is the main one, and gets what is for the entity.
///
/// Not for more than one thread. Nothing is allocated for a message in the steady state.

#include <ferry/error.hpp>
#include <ferry/service_message.hpp>

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ferry::session {

/// Where instances may be, from the configuration.
struct service_entity {
  std::uint32_t entity = 0;   ///< its number, unique
  std::uint32_t service = 0;  ///< whose
  std::uint32_t pipes = 1;    ///< 1 .. k_most_pipes
};

enum class instance_health : std::uint8_t {
  healthy,
  unhealthy,      ///< gets nothing by chance
  graceful_exit,  ///< it leaves soon: gets nothing by chance
  fast_exit,      ///< it is leaving: gets nothing but what it forwards to itself
};
[[nodiscard]] const char* to_string(instance_health what) noexcept;

/// How much of what goes by chance an instance wants.
struct service_weight {
  std::int32_t fixed = 0;     ///< 0 and less: 1
  std::int32_t dynamic = 0;   ///< above 0: instead of the fixed one
  std::int64_t load = 0;      ///< of `capacity`; so much less comes
  std::int64_t capacity = 0;  ///< 0 and less: not known

  /// In thousandths, at least 1: whoever is full gets little, not nothing.
  [[nodiscard]] std::uint64_t effective() const noexcept;
};

struct service_instance {
  std::uint32_t zone = 0;         ///< of its tag `areaN`; 0: in none
  std::uint64_t set_version = 0;  ///< which a route can ask for
  service_weight weight{};
  instance_health health = instance_health::healthy;
  bool stands_by = false;  ///< wants to be the main one: goes before who does not
};

/// One instance, and where its rings are.
struct service_address {
  std::uint32_t slot = 0;  ///< of its entity, as add() said
  std::uint32_t pipe = 0;
  friend bool operator==(const service_address&, const service_address&) = default;
};

/// Why a message, or its copy for one entity, goes nowhere.
enum class unroutable : std::uint8_t {
  no_destination,   ///< its route says none
  unknown_entity,   ///< it is not in the configuration
  absent,           ///< it has no instance that takes messages now
  other_version,    ///< its main instance has another set version
  unknown_service,  ///< no entity is of it
  nobody_suitable,  ///< nobody of that service takes it now: zone, set version, health
  no_other,         ///< there is no other instance
  wrong_pipe,       ///< for the other instance, and the pipe that it says is not the sender's
  too_many,         ///< for more entities than k_most_targets
};
inline constexpr std::size_t k_unroutable_kinds = 9;
[[nodiscard]] const char* to_string(unroutable why) noexcept;

struct undelivered {
  unroutable why = unroutable::unknown_entity;
  std::uint32_t whom = 0;  ///< entity or service
};

class service_routes {
 public:
  static constexpr std::uint32_t k_most_pipes = 16;
  static constexpr std::uint32_t k_most_entities = 1u << 16;
  static constexpr std::size_t k_most_targets = 4096;  ///< of one message to_entities

  /// @return its slot, which is given again when it is removed | bad_option: its entity is there already, or its pipes
  /// are too many | busy: there are k_most_entities
  [[nodiscard]] result<std::uint32_t> add(const service_entity& what);
  /// With its instances.
  void remove(std::uint32_t slot);

  /// An instance came to a pipe, or is another one by now. It is the main one if the entity had none.
  void join(service_address at, const service_instance& what);
  /// It is not there any more. The main instance is then the healthiest of the others; of equal ones, one that stands
  /// by; of equal ones, that on the lowest pipe. @return whether another one became the main one
  bool leave(service_address at);
  /// The main instance is chosen anew, by the same rule. @return whether it is another one
  bool elect(std::uint32_t slot);
  /// What is for the entity goes to this instance, which is there, from the next message on.
  void lead(service_address at);

  void set_health(service_address at, instance_health now);
  void set_weight(service_address at, const service_weight& now);

  /// Another one whenever route() may say something else than before.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] const service_entity& entity(std::uint32_t slot) const { return places_[slot].what; }
  /// Null: nobody is on that pipe.
  [[nodiscard]] const service_instance* instance(service_address at) const noexcept;
  [[nodiscard]] bool is_main(service_address at) const noexcept { return places_[at.slot].main == at.pipe; }
  /// @return its pipe; k_most_pipes: the entity has no instance
  [[nodiscard]] std::uint32_t main_pipe(std::uint32_t slot) const noexcept { return places_[slot].main; }
  /// @return the slots of its entities, in the order of their numbers; valid until add() or remove()
  [[nodiscard]] std::span<const std::uint32_t> entities_of(std::uint32_t service) const noexcept;
  /// @return its slot; k_most_entities: there is no such entity
  [[nodiscard]] std::uint32_t find(std::uint32_t entity) const noexcept;

  /// Whom a message goes to: to_any, to a healthy one, by chance and weight or by its key, of whose keys only those
  /// move that went to one that left; to_all, to all but the sender's entity; to_entities, to each of them once.
  /// @param random  any number, for what goes by chance @param to  whom it goes to, behind what is there already
  /// @param not_to  whom it does not go to, likewise
  void route(service_address from, const service_route& head, std::uint64_t random, std::vector<service_address>& to,
             std::vector<undelivered>& not_to) const;
  /// Whom a message goes to that an instance hands on. @param wanted  the pipe that the message itself asks for: it
  /// goes there, or nowhere; nothing, or the sender's: to the main instance, or else to that on the lowest other pipe
  void hand_on(service_address from, const to_other_instance& where, std::optional<std::uint32_t> wanted,
               std::vector<service_address>& to, std::vector<undelivered>& not_to) const;

 private:
  struct seat {
    service_instance what;
    bool taken = false;
  };
  struct place {
    service_entity what;
    std::uint32_t main = k_most_pipes;
    bool used = false;
    std::vector<seat> seats;  // by pipe
  };
  using slots = std::vector<std::uint32_t>;
  /// What an instance must have.
  struct wish {
    std::uint32_t zone = 0;
    std::uint64_t set_version = 0;
  };
  struct outcome {
    std::vector<service_address>& to;
    std::vector<undelivered>& not_to;
  };

  [[nodiscard]] const service_instance* main_of(std::uint32_t slot) const noexcept;
  /// Null: no entity is of it.
  [[nodiscard]] const slots* of_service(std::uint32_t service) const noexcept;
  void send_to(std::uint32_t entity, std::uint64_t set_version, outcome out) const;
  void send_to(const to_any& where, std::uint64_t set_version, std::uint64_t random, outcome out) const;
  void send_to(const to_all& where, std::uint64_t set_version, service_address from, outcome out) const;
  void send_to(const to_entities& where, std::uint64_t set_version, outcome out) const;
  /// Null: nobody has such a weight.
  [[nodiscard]] const std::uint32_t* weighed(const slots& all, wish of, std::uint64_t random) const noexcept;
  [[nodiscard]] const std::uint32_t* keyed(const slots& all, wish of, std::uint64_t key) const noexcept;
  [[nodiscard]] static std::uint32_t next_main(const place& of) noexcept;
  [[nodiscard]] static bool has(const service_instance* one, wish of) noexcept;

  std::uint64_t version_ = 0;
  std::vector<place> places_;
  slots free_;
  boost::unordered_flat_map<std::uint32_t, std::uint32_t> by_entity_;
  boost::unordered_flat_map<std::uint32_t, slots> by_service_;  // in the order of their entities
};

}  // namespace ferry::session
