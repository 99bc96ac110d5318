"""The protobuf messages between services and a sidecar, written down from docs/sidecar.md by hand: nothing of Ferry's own
declaration is used."""
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    "string": FIELD.TYPE_STRING, "bool": FIELD.TYPE_BOOL, "int32": FIELD.TYPE_INT32, "uint32": FIELD.TYPE_UINT32,
    "int64": FIELD.TYPE_INT64, "uint64": FIELD.TYPE_UINT64, "fixed32": FIELD.TYPE_FIXED32,
}
# name: (number, type) of each field; "*" before a type: repeated; "|" before it: one of those that are marked so.
MESSAGES = {
    "ServiceInfo": {"ServiceName": (1, "string"), "ServiceID": (2, "string"), "Tags": (3, "*string"),
                    "SetVersion": (4, "uint64")},
    "RegisterOption": {"is_stateful_service": (1, "bool"), "need_master_selection": (2, "bool"), "need_backup": (3, "bool"),
                       "static_weight": (4, "int32"), "dynamic_weight": (5, "int32"), "is_health": (6, "bool"),
                       "pipe_idx": (7, "int32"), "svr_unqueid": (8, "uint32"), "version": (9, "int64")},
    "RegisterRequest": {"svc_info": (1, "ServiceInfo"), "register_option": (2, "RegisterOption")},
    "Result": {"err_code": (1, "int32"), "reason": (2, "string")},
    "RegisterResponse": {"result": (1, "Result"), "is_main": (2, "int32"), "need_migreate": (3, "int32"),
                         "version": (4, "int64")},
    "HeartBeat": {"state": (1, "int32"), "pipe_idx": (2, "int32"), "svr_unqueid": (3, "uint32"), "set_version": (4, "uint64")},
    "ChangePipeRequest": {"pipeidx": (1, "int32")},
    "ChangePipeResponse": {"result": (1, "int32")},
    "UnRegister": {"dummy": (1, "int32"), "service_id": (2, "string"), "pipe_idx": (3, "int32"), "svr_unqueid": (4, "uint32")},
    "DynamicLoad": {"service_id": (1, "string"), "dynamic_load": (2, "int64"), "dynamic_load_capacity": (3, "int64")},
    "P2P": {"DstEntityID": (1, "uint32")},
    "Rand": {"FuncID": (1, "uint32"), "UseConstantRoute": (2, "bool"), "ConstantKey": (3, "uint64"), "AreaID": (4, "uint32")},
    "BroadCast": {"FuncID": (1, "uint32"), "AreaID": (2, "uint32")},
    "MultiCast": {"EntityIDs": (1, "*int32")},
    "Internal": {"PipeIdx": (1, "int32")},
    "RouteHead": {"SrcEntityID": (1, "uint32"), "MsgID": (2, "string"), "p2p": (3, "|P2P"), "rand": (4, "|Rand"),
                  "broadcast": (5, "|BroadCast"), "multicast": (6, "|MultiCast"), "internal": (7, "|Internal"),
                  "SrcSetVersion": (8, "uint64"), "DstSetVersion": (9, "uint64")},
    "PackageHead": {"MsgID": (1, "string"), "RetCode": (2, "int32"), "SvrPkgSeq": (3, "fixed32"), "CliPkgSeq": (4, "fixed32"),
                    "SrcActorID": (5, "uint64"), "DstActorID": (6, "uint64"), "SrcCliVersion": (7, "int64"),
                    "Meta": (8, "*map")},
}


def _declare():
    file = descriptor_pb2.FileDescriptorProto(name="page.proto", package="page", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            made = message.field.add(name=field, number=number, label=FIELD.LABEL_REPEATED if kind[0] == "*"
                                     else FIELD.LABEL_OPTIONAL)
            if kind[0] == "|":
                if not message.oneof_decl:
                    message.oneof_decl.add(name="route")
                made.oneof_index = 0
            kind = kind.lstrip("*|")
            if kind == "map":
                entry = message.nested_type.add(name=field + "Entry")
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL)
                entry.field.add(name="value", number=2, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL)
                made.type, made.type_name = FIELD.TYPE_MESSAGE, f".page.{name}.{field}Entry"
            elif kind in SCALARS:
                made.type = SCALARS[kind]
            else:
                made.type, made.type_name = FIELD.TYPE_MESSAGE, ".page." + kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {name: factory.GetPrototype(pool.FindMessageTypeByName("page." + name)) for name in MESSAGES}


globals().update(_declare())
