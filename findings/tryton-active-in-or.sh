#!/bin/bash
# Tryton leaves out inactive records although the domain asks for them, where it has an OR.
#
# Seen with trytond 6.0.76 on 2026-11-30: a search adds ('active', '=', True) to a domain that does not name the field, and does so for every list inside the domain by
# itself. So [['OR', A, B], ('active', 'in', [True, False])], which names it, finds no inactive record: the inner list does not name it. Polls by
# ['OR', ('write_date', '>=', T), ('create_date', '>=', T)] never see that a record was made inactive. A condition on active inside the OR that nothing meets
# (('active', 'in', [])) keeps the inner list as it is.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python=python3
for p in python3.11 python3.10 python3.9; do if "$p" -c 'import venv, ensurepip' > /dev/null 2>&1; then python=$p; break; fi; done
"$python" -m venv venv
venv/bin/pip install --disable-pip-version-check -q trytond==6.0.76 trytond-party==6.0.8 trytond-country==6.0.4 python-sql==1.8.1 Werkzeug==2.2.3 > /dev/null 2>&1
cat > search.py <<'PY'
import os
import sys
os.environ['DB_NAME'] = ':memory:'
from trytond import __version__
from trytond.pool import Pool
from trytond.tests.test_tryton import activate_module, with_transaction
activate_module('party')


@with_transaction()
def search():
    party = Pool().get('party.party')
    party.create([{'name': 'gone', 'code': 'G', 'active': False}])
    found = lambda *domain: len(party.search(list(domain)))
    every = ('active', 'in', [True, False])
    plain = found(('name', '=', 'gone'), every)
    within = found(['OR', ('name', '=', 'gone'), ('code', '=', 'none')], every)
    kept = found(['OR', ('name', '=', 'gone'), ('code', '=', 'none'), ('active', 'in', [])], every)
    print('trytond', __version__)
    print('an inactive party is found: by its name %d, by its name inside an OR %d, with active named there too %d' % (plain, within, kept))
    sys.exit((plain, within, kept) != (1, 0, 1))


search()
PY
venv/bin/python -W ignore search.py 2> err || { cat err; exit 1; }
echo "the OR has a condition of its own, which nobody wrote"
