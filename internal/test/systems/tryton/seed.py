"""Fills an empty Tryton database with what a small company has: a chart of accounts, fiscal years, a tax, products, and the hub's user.

    seed.py DATABASE CONFIGURATION

It works in the process, without a server. The password of the user "hub" is WAYBILL_TRYTON_PASSWORD. What it made is printed as JSON: the ids that tests need.
"""
import datetime
import json
import os
import sys
from decimal import Decimal

database, configuration = sys.argv[1:3]
os.environ['DB_NAME'] = database  # the modules' own tools ask for it when they are loaded

from proteus import Model, config  # noqa: E402

config.set_trytond(database, user='admin', config_file=configuration)

from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, create_tax, get_accounts  # noqa: E402
from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences  # noqa: E402
from trytond.modules.company.tests.tools import create_company, get_company  # noqa: E402
from trytond.modules.currency.tests.tools import get_currency  # noqa: E402


def first(model, *domain):
    return Model.get(model).find(list(domain), limit=1)[0]


for code, code3, name in (('US', 'USA', 'United States'), ('DE', 'DEU', 'Germany'), ('CN', 'CHN', 'China')):
    Model.get('country.country')(code=code, code3=code3, name=name).save()

create_company(currency=get_currency('EUR'))
company = get_company()
create_chart(company)
accounts = get_accounts(company)
this_year = datetime.date.today().year
for year in (this_year - 1, this_year, this_year + 1):
    fiscal = set_fiscalyear_invoice_sequences(create_fiscalyear(company, today=datetime.date(year, 6, 1)))
    fiscal.save()
    fiscal.click('create_period')

tax = create_tax(Decimal('0.19'), company)
tax.name = 'VAT 19'
tax.save()
goods = Model.get('product.category')(name='Goods', accounting=True)
goods.account_revenue = accounts['revenue']
goods.account_expense = accounts['expense']
goods.customer_taxes.append(tax)
goods.save()

term = Model.get('account.invoice.payment_term')(name='Net 30')
term.lines.new(type='remainder').relativedeltas.new(days=30)
term.save()

unit = first('product.uom', ('name', '=', 'Unit'))
for code, price in (('SKU-001', '19.90'), ('SKU-002', '5.00')):
    template = Model.get('product.template')(
        name='Product ' + code, code=code, default_uom=unit, type='goods', salable=True, list_price=Decimal(price), account_category=goods)
    template.sale_uom = unit
    template.products[0].cost_price = Decimal('3.00')
    template.save()

user = Model.get('res.user')(name='Hub', login='hub')
user.password = os.environ['WAYBILL_TRYTON_PASSWORD']
for group in Model.get('res.group').find([('name', '!=', 'Administration')]):
    user.groups.append(group)
user.companies.append(company)
user.company = company
user.save()

print(json.dumps({
    'company': company.id,
    'category': goods.id,
    'unit': unit.id,
    'warehouse': first('stock.location', ('type', '=', 'warehouse')).id,
    'storage': first('stock.location', ('type', '=', 'storage'), ('code', '=', 'STO')).id,
    'receivable': accounts['receivable'].id,
    'revenue': accounts['revenue'].id,
    'journal': first('account.journal', ('type', '=', 'revenue')).id,
}))
