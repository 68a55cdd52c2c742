// Package connectors is the one list of all connector kinds.
package connectors

import (
	"github.com/waybill-hub/waybill/connectors/file"
	"github.com/waybill-hub/waybill/connectors/kafka"
	"github.com/waybill-hub/waybill/connectors/mail"
	"github.com/waybill-hub/waybill/connectors/odata"
	"github.com/waybill-hub/waybill/connectors/rest"
	"github.com/waybill-hub/waybill/connectors/s3"
	"github.com/waybill-hub/waybill/connectors/sftp"
	"github.com/waybill-hub/waybill/connectors/soap"
	"github.com/waybill-hub/waybill/connectors/sql"
	"github.com/waybill-hub/waybill/connectors/tryton"
	"github.com/waybill-hub/waybill/connectors/webhook"
	"github.com/waybill-hub/waybill/internal/connector"
)

// All gives every kind that a hub knows.
func All() []connector.Kind {
	return []connector.Kind{
		file.Kind{},
		kafka.Kind{},
		mail.Kind{},
		odata.Kind{},
		rest.Kind{},
		s3.Kind{},
		sftp.Kind{},
		soap.Kind{},
		sql.Kind{},
		tryton.Kind{},
		webhook.Kind{},
	}
}
