"""What links in mails lead their recipients to, without a sign-in: whoever has a mail's link has its right."""
