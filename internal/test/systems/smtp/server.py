"""A mail server for tests: PyPI's aiosmtpd with STARTTLS and a login, which it wants before it takes a mail. Mails lie in a folder as they came.

server.py PORT CERT KEY FOLDER USER PASSWORD
"""
import os, ssl, sys, threading, uuid
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

port, cert, key, folder, user, password = sys.argv[1:]


class Keep:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith('nobody@'):
            return '550 5.1.1 no such user'
        if address.startswith('later@'):
            return '451 4.7.1 come again'
        envelope.rcpt_tos.append(address)
        return '250 OK'

    async def handle_DATA(self, server, session, envelope):
        part = os.path.join(folder, '.' + uuid.uuid4().hex)
        with open(part, 'wb') as f:
            f.write(b'X-To: ' + ', '.join(envelope.rcpt_tos).encode() + b'\r\n' + envelope.original_content)
        os.rename(part, os.path.join(folder, uuid.uuid4().hex + '.eml'))
        return '250 OK'


def login(server, session, envelope, mechanism, data):
    known = data.login == user.encode() and data.password == password.encode()
    return AuthResult(success=known, handled=False)  # the answer is the server's


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(cert, key)
Controller(Keep(), hostname='127.0.0.1', port=int(port), tls_context=context, require_starttls=True, authenticator=login, auth_required=True).start()
threading.Event().wait()
