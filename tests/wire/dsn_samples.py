"""Delivery status notifications in the styles of mail servers one meets, written by hand."""

from __future__ import annotations

NOTIFICATION = "mfzxgzdfmztwq2lknnwg23tpob"
OURS = f"task_completion.{NOTIFICATION}@example.com"

POSTFIX = f"""\
Return-Path: <>
Date: Mon, 15 Jan 2024 14:31:02 +0000 (UTC)
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: noreply@example.com
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4T8xyz0000.1705329062/mx.example.com"
Message-Id: <20240115143102.4T8xyz0000@mx.example.com>

This is a MIME-encapsulated message.

--4T8xyz0000.1705329062/mx.example.com
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.com.

<ann@example.org>: host mail.example.org[203.0.113.7] said: 550 5.1.1
    <ann@example.org>: Recipient address rejected: User unknown in virtual
    mailbox table (in reply to RCPT TO command)

--4T8xyz0000.1705329062/mx.example.com
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
X-Postfix-Queue-ID: 4T8xyz0000
X-Postfix-Sender: rfc822; noreply@example.com
Arrival-Date: Mon, 15 Jan 2024 14:31:00 +0000 (UTC)

Final-Recipient: rfc822; ann@example.org
Original-Recipient: rfc822;Ann@example.org
Action: failed
Status: 5.1.1
Remote-MTA: dns; mail.example.org
Diagnostic-Code: smtp; 550 5.1.1 <ann@example.org>: Recipient address rejected:
    User unknown in virtual mailbox table

--4T8xyz0000.1705329062/mx.example.com
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers

Return-Path: <noreply@example.com>
From: streamnotify <noreply@example.com>
To: Ann <ann@example.org>
Subject: Task Completed: nightly-report - Success
Message-ID: <{OURS}>
X-Notification-ID: {NOTIFICATION}

--4T8xyz0000.1705329062/mx.example.com--
"""

POSTFIX_DELAYED = f"""\
Date: Mon, 15 Jan 2024 18:31:02 +0000 (UTC)
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
Subject: Delayed Mail (still being retried)
To: noreply@example.com
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
Arrival-Date: Mon, 15 Jan 2024 14:31:00 +0000 (UTC)

Final-Recipient: rfc822; bob@example.org
Action: delayed
Status: 4.4.1
Diagnostic-Code: X-Postfix; connect to mail.example.org[203.0.113.7]:25: Connection timed out
Will-Retry-Until: Sat, 20 Jan 2024 14:31:00 +0000 (UTC)

--b
Content-Type: message/rfc822

From: noreply@example.com
To: bob@example.org
Message-ID: <{OURS}>
Subject: whole mail

Body
--b--
"""

EXCHANGE = f"""\
From: <postmaster@contoso.example>
To: <noreply@example.com>
Date: Mon, 15 Jan 2024 15:31:10 +0100
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="_000_a1b2c3d4_"
Message-ID: <0a1b2c@AM0PR01MB.eurprd01.prod.exchangelabs.example>
Subject: Undeliverable: Task Completed: nightly-report - Success
Auto-Submitted: auto-replied
MIME-Version: 1.0

--_000_a1b2c3d4_
Content-Type: multipart/alternative; differences=Content-Type;
\tboundary="_001_e5f6_"

--_001_e5f6_
Content-Type: text/plain; charset="us-ascii"
Content-Transfer-Encoding: quoted-printable

Your message to carl@contoso.example couldn't be delivered.

--_001_e5f6_
Content-Type: text/html; charset="us-ascii"
Content-Transfer-Encoding: quoted-printable

<html><body>couldn't be delivered</body></html>

--_001_e5f6_--

--_000_a1b2c3d4_
Content-Type: message/delivery-status

Reporting-MTA: dns;AM0PR01MB.eurprd01.prod.exchangelabs.example
Received-From-MTA: dns;mx.example.com
Arrival-Date: Mon, 15 Jan 2024 14:31:08 +0000

Final-Recipient: rfc822;carl@contoso.example
Action: failed
Status: 5.1.10
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient carl@contoso.example not found by SMTP
 address lookup
Last-Attempt-Date: Mon, 15 Jan 2024 14:31:09 +0000
X-Display-Name: carl@contoso.example

--_000_a1b2c3d4_
Content-Type: message/rfc822

Received: from mx.example.com (203.0.113.9) by AM0PR01MB
From: streamnotify <noreply@example.com>
To: <carl@contoso.example>
Subject: =?utf-8?b?4pyF?= Task Completed
Message-ID: <{OURS}>
X-Notification-ID: {NOTIFICATION}
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="=_x"

--=_x
Content-Type: text/plain; charset=utf-8

Hello
--=_x--

--_000_a1b2c3d4_--
"""

GMAIL = f"""\
From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
To: noreply@example.com
Auto-Submitted: auto-replied
Subject: Delivery Status Notification (Failure)
References: <{OURS}>
In-Reply-To: <{OURS}>
Date: Mon, 15 Jan 2024 06:31:04 -0800 (PST)
Content-Type: multipart/report; boundary="000000000000abcdef"; report-type=delivery-status
MIME-Version: 1.0

--000000000000abcdef
Content-Type: multipart/related; boundary="000000000000fedcba"

--000000000000fedcba
Content-Type: text/plain; charset="UTF-8"

** Message blocked ** Your message to dora@gmail.com has been blocked.

--000000000000fedcba
Content-Type: image/png; name="icon.png"
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--000000000000fedcba--
--000000000000abcdef
Content-Type: message/delivery-status

Reporting-MTA: dns; googlemail.com
Arrival-Date: Mon, 15 Jan 2024 06:31:02 -0800 (PST)
X-Original-Message-ID: <{OURS}>

Final-Recipient: rfc822; dora@gmail.com
Action: failed
Status: 5.7.26
Remote-MTA: dns; gmail-smtp-in.l.google.com. (142.250.0.26, the server for the domain gmail.com.)
Diagnostic-Code: smtp; 550-5.7.26 Your email has been blocked because the sender is unauthenticated.
 550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.
 550 5.7.26 a1-20020a0 - gsmtp
Last-Attempt-Date: Mon, 15 Jan 2024 06:31:04 -0800 (PST)

--000000000000abcdef
Content-Type: message/rfc822

From: noreply@example.com
To: dora@gmail.com
Message-ID: <{OURS}>
Subject: Task Completed

--000000000000abcdef--
"""

# SES replaces the Message-ID and gives the status 5.0.0 in some cases; the server's words know better.
SES = f"""\
From: MAILER-DAEMON@eu-west-1.amazonses.com
To: noreply@example.com
Subject: Delivery Status Notification (Failure)
Date: Mon, 15 Jan 2024 14:31:05 +0000
MIME-Version: 1.0
Content-Type: multipart/report; boundary="----=_Part_1_2.3"; report-type=delivery-status

------=_Part_1_2.3
Content-Type: text/plain; charset=us-ascii

An error occurred while trying to deliver the mail to the following recipients:
eve@example.net
------=_Part_1_2.3
Content-Type: message/delivery-status

Reporting-MTA: dns; a7-10.smtp-out.eu-west-1.amazonses.com

Action: failed
Final-Recipient: rfc822; eve@example.net
Diagnostic-Code: smtp; 552 5.2.2 <eve@example.net>: Mailbox full
Status: 5.0.0

------=_Part_1_2.3
Content-Type: message/rfc822

From: noreply@example.com
To: eve@example.net
Message-ID: <0102018d0a1b2c3d-000000@eu-west-1.amazonses.com>
X-Notification-ID: {NOTIFICATION}
Subject: Task Completed

------=_Part_1_2.3--
"""

SEVERAL = """\
Date: Mon, 15 Jan 2024 14:31:02 +0000
Content-Type: multipart/report; report-type=delivery-status; boundary=x

--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; one@example.org
Action: failed
Status: 5.1.1

Final-Recipient: rfc822; two@example.org
Action: delivered (to mailbox)
Status: 2.1.5

Original-Recipient: rfc822; three+2Bnews@example.org
Final-Recipient: rfc822; forwarded@example.net
Action: relayed
Status: 2.0.0

Final-Recipient: x400; /G=Fay/S=Smith/
Action: failed
Status: 5.1.1

Final-Recipient: utf-8; jos\u00e9@b\u00fccher.example
Action: FAILED
Status: 4.4.7

--x--
"""
