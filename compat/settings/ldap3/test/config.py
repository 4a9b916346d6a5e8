"""The settings module that ldap3's tests import, and that its source distribution comes without: our own, for slapd.

Its connections are asynchronous: each has a thread that receives.
"""

import os
import random
import string

from ldap3 import ALL, ASYNC, IP_V4_PREFERRED, SIMPLE, Connection, Server

test_server, test_port, test_port_ssl = "127.0.0.1", int(os.environ["LDAP_PORT"]), 636
test_server_type, test_server_mode, test_server_context, test_server_edir_name = "SLAPD", IP_V4_PREFERRED, "", ""
test_root_partition, test_base, test_moved = "", "ou=fixtures,o=test", "ou=moved,o=test"
test_name_attr, test_int_attr = "cn", "gidNumber"
test_multivalued_attribute, test_singlevalued_attribute = "givenName", "employeeNumber"
test_user, test_password, test_authentication = "cn=admin,o=test", "password", SIMPLE
test_sasl_user = test_sasl_password = test_sasl_realm = test_sasl_user_dn = test_sasl_secondary_user = None
test_sasl_secondary_user_dn = test_sasl_secondary_password = test_ntlm_user = test_ntlm_password = None
test_strategy, test_lazy_connection, test_get_info, test_check_names = ASYNC, False, ALL, True
test_auto_escape = test_auto_encode = True
test_user_password = test_password
test_secondary_user, test_secondary_password = test_user, test_password
test_user_cert_file = test_user_key_file = test_ca_cert_file = None
test_valid_names = ["127.0.0.1"]
test_validator = {}
test_logging = False


def random_id():
    return "[" + "".join(random.choices(string.ascii_lowercase, k=10)) + "]"


def generate_dn(base, batch_id, name):
    return f"{test_name_attr}={batch_id}{name},{base}"


def get_connection(
    bind=None, use_ssl=False, check_names=None, lazy_connection=None, get_info=None, authentication=None,
    sasl_mechanism=None, sasl_credentials=None, simple_credentials=(None, None), **_
):  # fmt: skip
    user, password = (test_user, test_password) if authentication in (None, SIMPLE) else (None, None)
    checks = test_check_names if check_names is None else check_names
    return Connection(
        Server(test_server, test_port_ssl if use_ssl else test_port, use_ssl=use_ssl, get_info=get_info or test_get_info),
        simple_credentials[0] or user, simple_credentials[1] or password, auto_bind=bind is not False,
        client_strategy=test_strategy, authentication=authentication or test_authentication, check_names=checks,
        lazy=bool(lazy_connection), sasl_mechanism=sasl_mechanism, sasl_credentials=sasl_credentials,
    )  # fmt: skip


def get_response_values(result, connection):
    if connection.strategy.sync:
        return result, connection.result, connection.response, connection.request
    response, result, request = connection.get_response(result, get_request=True)
    return result["result"] == 0, result, response, request


def _added(connection, dn, kind, attributes):
    return dn, get_response_values(connection.add(dn, kind, attributes), connection)[1]


def get_add_user_attributes(batch_id, username, password=None, attributes=None):
    return {"sn": username, **(attributes or {})}


def add_user(connection, batch_id, username, password=None, attributes=None):
    dn = generate_dn(test_base, batch_id, username)
    return _added(connection, dn, "inetOrgPerson", get_add_user_attributes(batch_id, username, password, attributes))


def add_group(connection, batch_id, groupname, attributes=None):
    attributes = {"member": test_user, **(attributes or {})}
    return _added(connection, generate_dn(test_base, batch_id, groupname), "groupOfNames", attributes)


def drop_connection(connection, dn_to_delete=None):
    for dn, _ in dn_to_delete or ():
        get_response_values(connection.delete(dn), connection)
    connection.unbind()
